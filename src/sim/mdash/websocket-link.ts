import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Json } from '#kit/canonical.ts';
import { isJsonObject } from '#model/shadow.ts';
import type { Frame } from './devices.ts';
import type { MdashHub } from './hub.ts';
import { acceptWebSocket, type TextSocket } from './websocket.ts';

/** Who may listen to notifications, and who connects: docs/protocols/shadow-devices.md §5. */
export interface UpgradeOptions {
  readonly hub: MdashHub;
  readonly keys: ReadonlySet<string>;
}

/**
 * The two WebSockets of the page: `/api/v2/rpc`, the link of a device with its token, and `/api/v2/notify`, which tells whoever
 * has a key of the account what happens. Anybody else gets 401 or 404.
 */
export function upgradeMdash({ hub, keys }: UpgradeOptions, request: IncomingMessage, socket: Duplex): void {
  const at = URL.parse(request.url ?? '', 'http://mdash');
  const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '')?.[1] ?? at?.searchParams.get('access_token') ?? '';
  if (at?.pathname === '/api/v2/rpc') {
    const record = [...hub.records.values()].find(({ token }) => token === bearer);
    if (record === undefined) refuse(socket, '401 Unauthorized');
    else linkDevice(hub, record.id, { request, socket });
  } else if (at?.pathname === '/api/v2/notify') {
    if (keys.has(bearer)) notify(hub, { request, socket });
    else refuse(socket, '401 Unauthorized');
  } else refuse(socket, '404 Not Found');
}

function refuse(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

interface Upgrade {
  readonly request: IncomingMessage;
  readonly socket: Duplex;
}

/** JSON-RPC 2.0 frames without source and destination. */
function linkDevice(hub: MdashHub, id: string, { request, socket }: Upgrade): void {
  let wire: TextSocket | null = null;
  const link = {
    send: (frame: Frame): boolean => {
      wire?.send(JSON.stringify({ jsonrpc: '2.0', ...frame }));
      return wire !== null;
    },
  };
  wire = acceptWebSocket(request, socket, {
    text: (text) => {
      const frame = parsed(text);
      if (isJsonObject(frame)) hub.hear(id, frame);
    },
    closed: () => hub.disconnect(id, link),
  });
  if (wire === null) refuse(socket, '400 Bad Request');
  else hub.connect(id, link);
}

function notify(hub: MdashHub, { request, socket }: Upgrade): void {
  let stop = (): void => undefined;
  const wire = acceptWebSocket(request, socket, { text: () => undefined, closed: () => stop() });
  if (wire === null) refuse(socket, '400 Bad Request');
  else stop = hub.listen((event) => wire.send(JSON.stringify(event)));
}

function parsed(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json;
  } catch {
    return undefined;
  }
}
