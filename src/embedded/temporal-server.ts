import { type DataDirectory, takeDataDirectory } from './data-directory.js';
import { findTemporalCli } from './find-temporal-cli.js';
import { choosePort } from './ports.js';
import { type SearchAttributeTypeName, serverArguments, serverEnvironment } from './server-arguments.js';
import { type ServerExit, type ServerProcess, startServerProcess } from './server-process.js';
import { waitUntilReady } from './server-readiness.js';

/** Settings of `startTemporalServer`. */
export interface TemporalServerOptions {
  /** Folder for the database file, made when missing; all is there again after a restart. Default: all in memory. */
  dataDir?: string | undefined;
  /** Port of the gRPC frontend. Default, and for 0: a free one. */
  port?: number | undefined;
  /** Port of the web UI. Default, and for 0: a free one. */
  uiPort?: number | undefined;
  /** Address to listen on. Default 127.0.0.1: the server knows no users, so think before you widen this. */
  ip?: string | undefined;
  /** Search attributes to register, name to type. Those that an older database lacks are added. */
  searchAttributes?: Readonly<Record<string, SearchAttributeTypeName>> | undefined;
  /** Namespace, made when missing. Default `default`. */
  namespace?: string | undefined;
  /** Path of the Temporal CLI. Default: what `findTemporalCli` finds or gets. */
  cli?: string | undefined;
  /** What the server logs, to `onLog`. Default `warn`. */
  logLevel?: 'debug' | 'info' | 'warn' | 'error' | 'never' | undefined;
  /** The server's dynamic configuration, key to JSON value. */
  dynamicConfig?: Readonly<Record<string, unknown>> | undefined;
  /** How long the server may take until it answers, in milliseconds. Default 60,000. */
  startTimeoutMs?: number | undefined;
  /** Told in one line what is being done. */
  onProgress?: ((text: string) => void) | undefined;
  /** Given each line that the server logs. Default: kept for error messages only. */
  onLog?: ((line: string) => void) | undefined;
}

/** A Temporal server that answers. */
export interface TemporalServer {
  /** `host:port` of the gRPC frontend, for `TEMPORAL_ADDRESS` and `Connection.connect`. */
  address: string;
  /** The web UI, without a slash at its end. */
  uiUrl: string;
  namespace: string;
  port: number;
  uiPort: number;
  /** The server's process id. */
  pid: number;
  /** Sends a signal to the server's process, as a crash would (`SIGKILL`) in a test. */
  kill(signal: NodeJS.Signals): void;
  /** Stops the server (asks, and after 10 s kills) and frees its data directory. May be called again. */
  stop(): Promise<void>;
  /** Resolves when the process has ended, however, and its data directory is free. Never rejects. */
  exited: Promise<ServerExit>;
}

/** How often other ports are tried when somebody took a free one in the moment before the server did. */
const PORT_ATTEMPTS = 4;

/**
 * Starts a Temporal server with its web UI as a process beside this one, and waits until it answers.
 *
 * It ends when this process ends, whether in order, by a signal or by a crash. Ctrl-C in a terminal does not reach it by itself,
 * so that a worker can drain before `stop()` is called.
 *
 * @throws PortTakenError, DataDirectoryInUseError before anything is started; TemporalCliNotFoundError without a CLI; Error
 *   with the server's last log lines when it ends before it answers, or does not answer in time.
 */
export async function startTemporalServer(options: TemporalServerOptions = {}): Promise<TemporalServer> {
  const ip = options.ip ?? '127.0.0.1';
  // First: this ends a server left over there, which may still hold the ports.
  const directory = options.dataDir === undefined ? undefined : await takeDataDirectory(options.dataDir);
  try {
    await choosePort(options.port, ip, 'the Temporal server');
    await choosePort(options.uiPort, ip, 'the Temporal UI');
    const cli = options.cli ?? (await findTemporalCli({ onProgress: options.onProgress })).path;
    return await startOnFreePorts(options, ip, cli, directory);
  } catch (error) {
    await directory?.release();
    throw error;
  }
}

async function startOnFreePorts(
  options: TemporalServerOptions,
  ip: string,
  cli: string,
  directory: DataDirectory | undefined,
): Promise<TemporalServer> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await choosePort(options.port, ip, 'the Temporal server');
    const uiPort = await choosePort(options.uiPort, ip, 'the Temporal UI');
    try {
      return await startOnce({ ...options, ip, cli, port, uiPort }, directory);
    } catch (error) {
      const isTaken = error instanceof ServerEndedError && error.isAddressInUse;
      if (!isTaken || attempt === PORT_ATTEMPTS) throw error;
    }
  }
}

type ChosenOptions = TemporalServerOptions & { ip: string; cli: string; port: number; uiPort: number };

async function startOnce(options: ChosenOptions, directory: DataDirectory | undefined): Promise<TemporalServer> {
  const { ip, port, uiPort, namespace = 'default', searchAttributes = {} } = options;
  const host = reachableHost(ip);
  const [address, uiUrl] = [`${host}:${port}`, `http://${host}:${uiPort}`];
  const args = serverArguments({
    ...{ ip, port, uiPort, namespace, searchAttributes, dbFilename: directory?.dbFilename },
    logLevel: options.logLevel ?? 'warn',
    dynamicConfig: options.dynamicConfig ?? {},
  });
  options.onProgress?.(`Starting the Temporal server on ${address} ...`);
  const child = await startServerProcess(
    options.cli,
    args,
    serverEnvironment(process.env),
    options.onLog ?? (() => undefined),
  );
  try {
    await directory?.note({ pid: child.pid, address, uiUrl });
    await untilItServes(child, { address, namespace, searchAttributes }, options.startTimeoutMs ?? 60_000);
  } catch (error) {
    await child.stop();
    throw error;
  }
  const exited = child.exited.then(async (exit) => {
    await directory?.release();
    return exit;
  });
  const stop = async () => {
    await child.stop();
    await exited;
  };
  return {
    address,
    uiUrl,
    namespace,
    port,
    uiPort,
    pid: child.pid,
    kill: (signal) => child.kill(signal),
    stop,
    exited,
  };
}

/** The server's process ended before it answered. */
class ServerEndedError extends Error {
  override readonly name = 'ServerEndedError';
  readonly isAddressInUse: boolean;

  constructor({ code, signal, lastLog }: ServerExit) {
    const log = lastLog.slice(-10).map((line) => `  ${line}`);
    const end = signal === null ? `exit code ${code}` : signal;
    super([`The Temporal server ended before it answered (${end}). Its last words:`, ...log].join('\n'));
    this.isAddressInUse = lastLog.some((line) => line.includes('address already in use'));
  }
}

async function untilItServes(
  child: ServerProcess,
  wanted: { address: string; namespace: string; searchAttributes: Readonly<Record<string, SearchAttributeTypeName>> },
  timeoutMs: number,
): Promise<void> {
  const abort = new AbortController();
  const seconds = timeoutMs / 1000;
  const timeout = setTimeout(() => {
    abort.abort(new Error(`The Temporal server did not answer on ${wanted.address} within ${seconds} s.`));
  }, timeoutMs);
  const ended = child.exited.then((exit) => {
    const error = new ServerEndedError(exit);
    abort.abort(error);
    throw error;
  });
  try {
    await Promise.race([waitUntilReady({ ...wanted, signal: abort.signal }), ended]);
  } finally {
    clearTimeout(timeout);
    // Swallowed: from here on the end of the process is told by `exited`.
    ended.catch(() => undefined);
  }
}

function reachableHost(ip: string): string {
  if (ip === '0.0.0.0') return '127.0.0.1';
  if (ip === '::') return '[::1]';
  return ip.includes(':') ? `[${ip}]` : ip;
}
