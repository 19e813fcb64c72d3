/** The types of Temporal's search attributes, by the names that its CLI uses. */
export type SearchAttributeTypeName = 'Text' | 'Keyword' | 'Int' | 'Double' | 'Bool' | 'Datetime' | 'KeywordList';

/** What the server's command line is made of. */
export interface ServerArguments {
  ip: string;
  port: number;
  uiPort: number;
  namespace: string;
  /** The database file; undefined keeps all in memory. */
  dbFilename: string | undefined;
  searchAttributes: Readonly<Record<string, SearchAttributeTypeName>>;
  logLevel: string;
  dynamicConfig: Readonly<Record<string, unknown>>;
}

/** As fast as memory, and a crash of the process loses nothing (a power cut can lose the last moments). */
const SQLITE_PRAGMAS = ['journal_mode=WAL', 'synchronous=NORMAL'];

const DYNAMIC_CONFIG = {
  // No question to Temporal's own hosts whether a newer server exists.
  'frontend.enableServerVersionCheck': false,
  // By as much a timer may come late, retries of activities too: a reserve for hosts whose clocks differ, 1 s by default.
  'history.timerProcessorMaxTimeShift': '10ms',
  // So often it looks for tasks to hand out, 20 times a second by default: steps of a workflow, two looks each, would be 100 ms apart.
  'history.transferProcessorMaxPollRPS': 500,
};

/** The arguments of `temporal` that run a server as described. */
export function serverArguments(settings: ServerArguments): string[] {
  const repeated = (flag: string, values: readonly string[]) => values.flatMap((value) => [flag, value]);
  const inFile = settings.dbFilename === undefined ? [] : ['--db-filename', settings.dbFilename];
  const dynamicConfig = { ...DYNAMIC_CONFIG, ...settings.dynamicConfig };
  return [
    ...['server', 'start-dev', '--ip', settings.ip],
    ...['--port', String(settings.port), '--ui-port', String(settings.uiPort)],
    ...['--log-level', settings.logLevel, '--color', 'never'],
    ...(settings.namespace === 'default' ? [] : ['--namespace', settings.namespace]),
    ...inFile,
    ...(settings.dbFilename === undefined ? [] : repeated('--sqlite-pragma', SQLITE_PRAGMAS)),
    ...repeated(
      '--search-attribute',
      Object.entries(settings.searchAttributes).map(([name, type]) => `${name}=${type}`),
    ),
    ...repeated(
      '--dynamic-config-value',
      Object.entries(dynamicConfig).map(([key, value]) => `${key}=${JSON.stringify(value)}`),
    ),
  ];
}

/** The environment without Temporal's client settings, which the CLI would read as defaults of its own flags. */
export function serverEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_')));
}
