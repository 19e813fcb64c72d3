/** The same in a JavaScript without async functions: its promises are those of the global `Promise`. */
declare module 'jsonata/jsonata-es5.min.js' {
  export { default } from 'jsonata';
}
