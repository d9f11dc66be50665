import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, expect, it } from 'vitest';
import { WireError } from '#ports/wire-error.ts';
import { openHttpExchange, type NetworkExchange } from './http-exchange.ts';
import { Turnstile } from './turnstile.ts';

async function withServer(
  answer: (incoming: IncomingMessage, outgoing: ServerResponse) => void,
  run: (network: NetworkExchange, port: number) => Promise<void>,
): Promise<void> {
  const server = createServer(answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const network = openHttpExchange(new URL(`http://127.0.0.1:${port}`), { maxBytes: 1000 });
  try {
    await run(network, port);
  } finally {
    network.close();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
}

const GET = { method: 'GET', target: '/a?b=c', headers: {}, body: new Uint8Array() };

async function codeOf(work: Promise<unknown>): Promise<string> {
  return await work.then(
    () => 'no error',
    (error: unknown) => (error instanceof WireError ? `${error.code} ${error.retry}` : String(error)),
  );
}

describe('an exchange over HTTP', () => {
  it('sends what it is told, over one connection, and takes any status for an answer', async () => {
    const asked: string[] = [];
    const ports = new Set<number | undefined>();
    const body = new Uint8Array(3_000_000).fill(7);
    await withServer(
      (incoming, outgoing) => {
        ports.add(incoming.socket.remotePort);
        const hash = createHash('sha256');
        incoming.on('data', (chunk: Buffer) => hash.update(chunk));
        incoming.on('end', () => {
          asked.push(`${incoming.method} ${incoming.url} ${String(incoming.headers['x-own'])} ${incoming.headers['content-length']}`);
          outgoing.writeHead(302, { location: 'http://elsewhere.example' }).end(hash.digest('hex'));
        });
      },
      async (network) => {
        for (let time = 0; time < 2; time += 1) {
          const answer = await network.exchange({ method: 'POST', target: '/up', headers: { 'x-own': 'one' }, body });
          expect([answer.status, answer.headers['location'], new TextDecoder().decode(answer.bytes)]).toEqual([
            302,
            'http://elsewhere.example',
            createHash('sha256').update(body).digest('hex'),
          ]);
        }
        expect(asked).toEqual(['POST /up one 3000000', 'POST /up one 3000000']);
        expect(ports.size).toBe(1);
      },
    );
  });

  it('ends what is too large, cut, or given up, and names the host alone', async () => {
    let how: 'large' | 'cut' | 'hang' = 'large';
    await withServer(
      (incoming, outgoing) => {
        if (how === 'large') outgoing.end('x'.repeat(1001));
        else if (how === 'cut') incoming.socket.destroy();
      },
      async (network, port) => {
        expect(await codeOf(network.exchange(GET))).toBe('TOO_LARGE never');
        how = 'cut';
        expect(await codeOf(network.exchange(GET))).toBe('ECONNRESET later');
        how = 'hang';
        const stop = new AbortController();
        const given = codeOf(network.exchange({ ...GET, signal: stop.signal }));
        stop.abort(new WireError('CLOSED', 'never', 'by us'));
        expect(await given).toBe('CLOSED never');
        const closed = network.exchange(GET).catch((error: unknown) => String(error));
        network.close();
        expect(await closed).toContain(`GET 127.0.0.1:${port}: ECONNRESET`);
      },
    );
  });

  it('refuses a server that nobody vouches for', async () => {
    const pem = (name: string): Buffer => readFileSync(new URL(`fixtures/localhost-${name}.pem`, import.meta.url));
    const server = createHttps({ key: pem('key'), cert: pem('cert') }, (_incoming, outgoing) => outgoing.end('hello'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const network = openHttpExchange(new URL(`https://127.0.0.1:${port}`), { maxBytes: 1000 });
    expect(await codeOf(network.exchange(GET))).toBe('TLS_SERVER_UNTRUSTED never');
    network.close();
    await new Promise((resolve) => server.close(resolve));
  });
});

describe('a turnstile', () => {
  it('lets so many in, the rest in order, and forgets who gives up', async () => {
    const turnstile = new Turnstile(1);
    const begun: string[] = [];
    const ends = new Map<string, () => void>();
    const work = (name: string) => (): Promise<string> => {
      begun.push(name);
      return new Promise((resolve) => ends.set(name, () => resolve(name)));
    };
    const stop = new AbortController();
    const [first, second, third] = [turnstile.pass(work('a')), turnstile.pass(work('b'), stop.signal), turnstile.pass(work('c'))];
    stop.abort(new WireError('CLOSED', 'never', 'by us'));
    expect(await codeOf(second)).toBe('CLOSED never');
    expect(begun).toEqual(['a']);
    ends.get('a')?.();
    expect(await first).toBe('a');
    await Promise.resolve();
    expect(begun).toEqual(['a', 'c']);
    ends.get('c')?.();
    expect(await third).toBe('c');
    await expect(turnstile.pass(() => Promise.reject(new Error('no')))).rejects.toThrow('no');
    expect(await codeOf(turnstile.pass(work('d'), stop.signal))).toBe('CLOSED never');
    expect(await turnstile.pass(() => Promise.resolve('e'))).toBe('e');
  });
});
