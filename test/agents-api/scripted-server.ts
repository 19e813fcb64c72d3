import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** A request as the server saw it. */
export interface SeenRequest {
  method: string;
  path: string;
  query: string;
  headers: IncomingMessage['headers'];
  body: unknown;
}

export type Answer = (response: ServerResponse, seen: SeenRequest) => void;

/** A server on loopback that answers each request by the next entry of a script, and the last one for ever. */
export interface ScriptedServer {
  url: string;
  seen: SeenRequest[];
  script(...answers: Answer[]): void;
  close(): Promise<void>;
}

export async function startScriptedServer(readBody: (text: string) => unknown = JSON.parse): Promise<ScriptedServer> {
  const seen: SeenRequest[] = [];
  let answers: Answer[] = [json(200, {})];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const url = new URL(request.url ?? '/', 'http://server');
      const text = Buffer.concat(chunks).toString('utf8');
      const body: unknown = text === '' ? undefined : readBody(text);
      const entry = {
        method: request.method ?? '',
        path: url.pathname,
        query: url.search,
        headers: request.headers,
        body,
      };
      seen.push(entry);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      answer?.(response, entry);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    script: (...next) => {
      answers = next;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}

export function foundryError(status: number, errorCode: string, errorName: string, parameters: object = {}): Answer {
  return json(status, { errorCode, errorName, errorInstanceId: '7f3c9a52-0f4e-4d6c-9d0f-3a3f3a1f0001', parameters });
}

export function plain(status: number, contentType: string, text: string, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': contentType, ...headers });
    response.end(text);
  };
}

/** Sends the chunks one by one and then ends, cuts the connection, or stays silent. */
export function stream(chunks: readonly Uint8Array[], end: 'end' | 'cut' | 'hang'): Answer {
  return (response) => {
    response.writeHead(200, { 'content-type': 'application/octet-stream' });
    response.flushHeaders();
    const sendFrom = (index: number): void => {
      const chunk = chunks[index];
      if (chunk !== undefined) response.write(chunk, () => setImmediate(sendFrom, index + 1));
      else if (end === 'end') response.end();
      else if (end === 'cut') response.destroy();
    };
    sendFrom(0);
  };
}

export const hang: Answer = () => undefined;
export const cutWithoutAnswer: Answer = (response) => response.destroy();
