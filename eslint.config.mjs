import js from '@eslint/js';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/**
 * The import arrows of docs/design.md ("Layout"). For each folder: the folders of ours that it may import.
 * `cli` and `worker.ts` sit on top; nobody imports workflow code by value (the worker knows it by path only).
 */
const mayImport = {
  protocol: [],
  workflows: ['protocol'],
  activities: ['agents-api', 'governor', 'protocol'],
  'agents-api': [],
  governor: ['protocol'],
  metrics: [],
  fleet: ['governor', 'protocol'],
  checks: ['protocol'],
  client: ['checks', 'protocol'],
  embedded: [],
  'batch-files': ['checks', 'protocol'],
  plans: ['checks', 'protocol'],
  simulator: [],
  cli: [
    'protocol',
    'activities',
    'agents-api',
    'governor',
    'client',
    'batch-files',
    'plans',
    'embedded',
    'simulator',
    'metrics',
  ],
};
const folders = Object.keys(mayImport);

/** Types may cross where values may not: workflows and metrics see activities, and the client sees workflows. */
const mayImportTypes = { workflows: ['activities'], metrics: ['activities', 'governor'], client: ['workflows'] };

const zones = folders.flatMap((folder) =>
  folders
    .filter((other) => other !== folder && !mayImport[folder].includes(other))
    .filter((other) => !(mayImportTypes[folder] ?? []).includes(other))
    .map((other) => ({
      target: `./src/${folder}`,
      from: `./src/${other}`,
      message: `src/${folder} must not import src/${other} (docs/design.md, "Layout").`,
    })),
);

const topFiles = ['worker', 'companions', 'plugin', 'plugin-bundle', 'plugin-config', 'index', 'config', 'settings'];
const typeOnly = (folder) => ({
  files: [`src/${folder}/**/*.ts`],
  rules: {
    '@typescript-eslint/no-restricted-imports': [
      'error',
      {
        patterns: [
          ...(mayImportTypes[folder] ?? []).map((other) => ({
            regex: `^(\\.\\./)+${other}/`,
            allowTypeImports: true,
            message: `Import only types from src/${other} (docs/design.md, "Layout").`,
          })),
          ...(folder === 'workflows' || folder === 'protocol'
            ? [
                {
                  regex: '^(node:|zod$|undici$|@temporalio/(client|worker|activity|testing)|@osdk/)',
                  allowTypeImports: folder === 'workflows',
                  message: 'This code runs in the workflow sandbox: no Node modules, no zod (docs/design.md).',
                },
              ]
            : []),
        ],
      },
    ],
  },
});

export default tseslint.config(
  { ignores: ['dist', 'node_modules', 'coverage', '.aip-temporal', '.build-*', 'test-results'] },
  js.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    plugins: { 'import-x': importX },
    settings: {
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts', '.js', '.mjs'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
    },
    rules: {
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': ['error', { considerDefaultExhaustiveForUnions: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      'import-x/no-cycle': 'error',
      'import-x/no-restricted-paths': [
        'error',
        {
          basePath: import.meta.dirname,
          zones: [
            ...zones,
            ...folders
              .filter((folder) => folder !== 'cli')
              .flatMap((folder) =>
                topFiles.map((file) => ({
                  target: `./src/${folder}`,
                  from: `./src/${file}.ts`,
                  message: `src/${folder} must not import src/${file}.ts, which sits above it.`,
                })),
              ),
            ...['worker', 'companions', 'plugin', 'plugin-bundle'].map((file) => ({
              target: `./src/${file}.ts`,
              from: './src/workflows',
              message: 'The worker knows workflows by path only.',
            })),
            { target: './src/index.ts', from: './src/workflows', message: 'Workflow code has a door of its own.' },
          ],
        },
      ],
      eqeqeq: ['error', 'always', { null: 'ignore' }],
    },
  },
  ...folders.map(typeOnly),
  {
    files: ['src/**/*.ts'],
    ignores: ['src/settings.ts', 'src/cli/**', 'src/embedded/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'process', property: 'env', message: 'Only src/settings.ts reads the environment.' },
      ],
    },
  },
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: { process: 'readonly', console: 'readonly', URL: 'readonly', setTimeout: 'readonly', fetch: 'readonly' },
    },
  },
);
