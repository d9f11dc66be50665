import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { gitHttp } from './git-http.ts';

it('gives up a server that has begun to answer and says no more', async () => {
  const server = createServer((_request, response) => void response.writeHead(200).write('001e# service'));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const http = gitHttp({ signal: null, silenceMs: 20, maxBytes: 1000 });
  await expect(http.request({ url })).rejects.toMatchObject({ problem: { code: 'FETCH_FAILED' } });
  await new Promise<void>((resolve) => server.close(() => resolve()));
});
