import { createServer } from 'node:net';
import { errorCode, errorMessage } from './system-errors.js';

/** A port that somebody else listens on. */
export class PortTakenError extends Error {
  override readonly name = 'PortTakenError';

  /**
   * @param purpose  What the port was wanted for, such as `the Temporal server`.
   */
  constructor(
    readonly port: number,
    ip: string,
    purpose: string,
  ) {
    super(
      `Cannot start ${purpose}: port ${port} on ${ip} is taken by another process. ` +
        'Stop that process, or choose another port (0 takes any free one).',
    );
  }
}

/**
 * Gives the port if nobody listens on it, and for 0 or undefined one that is free at this moment.
 *
 * @throws PortTakenError
 */
export async function choosePort(wanted: number | undefined, ip: string, purpose: string): Promise<number> {
  try {
    return await listenOnce(wanted ?? 0, ip);
  } catch (error) {
    if (errorCode(error) === 'EADDRINUSE') throw new PortTakenError(wanted ?? 0, ip, purpose);
    throw new Error(`Cannot start ${purpose} on ${ip}, port ${wanted ?? 0}: ${errorMessage(error)}`, { cause: error });
  }
}

function listenOnce(port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : port));
    });
  });
}
