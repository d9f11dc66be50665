import { X509Certificate } from 'node:crypto';
import { createServer as createPlainServer } from 'node:net';
import { createServer } from 'node:tls';
import type { AddressInfo, Server } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { caCertificate } from '#test/support/ca-certificates.ts';
import { serverChain } from './server-chain.ts';

const ROOT = caCertificate('Test Root');
const LEAF = caCertificate('s3.example.org', { issuer: ROOT });
const signal = new AbortController().signal;
const servers: Server[] = [];

async function listening(server: Server): Promise<{ readonly endpoint: string; readonly port: number }> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { endpoint: 'https://127.0.0.1', port: (server.address() as AddressInfo).port };
}

afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

describe('what a server shows', () => {
  it('is its chain, its own certificate first, trusted by this machine or not', async () => {
    const key = LEAF.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    const server = await listening(createServer({ key, cert: `${LEAF.pem}${ROOT.pem}` }));
    const chain = await serverChain(server, signal);
    expect(chain?.map((der) => new X509Certificate(der).subject)).toEqual(['CN=s3.example.org', 'CN=Test Root']);
    expect(await serverChain({ endpoint: `https://127.0.0.1:${server.port}`, port: null }, signal)).toHaveLength(2);
  });

  it('is nothing where nobody speaks TLS, nobody listens, or nobody waits', async () => {
    const deaf = await listening(createPlainServer((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')));
    expect(await serverChain(deaf, signal)).toBe(null);
    expect(await serverChain({ ...deaf, endpoint: 'http://127.0.0.1' }, signal)).toBe(null);
    expect(await serverChain({ ...deaf, endpoint: 'no url' }, signal)).toBe(null);
    const mute = await listening(createPlainServer(() => undefined));
    const giveUp = new AbortController();
    const asked = serverChain(mute, giveUp.signal);
    giveUp.abort();
    expect(await asked).toBe(null);
    expect(await serverChain(mute, giveUp.signal)).toBe(null);
  });
});
