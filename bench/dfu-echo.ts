import type { Socket } from 'node:net';
import { serveUsage } from './dfu-process.ts';
import { openSocket, publishPacket, pubackPacket } from './dfu-wire.ts';

/** Bytes of a Write around its data (docs/protocols/drogue-dfu.md §9.2): a 5-byte version and an offset above 65,535. */
const AROUND = 22;

/** The floor: answers each message with a packet of the same size that was built before. Topics are `echo/MTU/NODE`. */
async function main(): Promise<void> {
  const [, , url = ''] = process.argv;
  const prebuilt = new Map<string, Buffer>();
  const out: Buffer[] = [];
  await openSocket(url, {
    clientId: 'echo',
    filter: 'echo/#',
    qos: 1,
    onPublish: ({ topic, qos, id }) => {
      const key = topic.toString('latin1');
      let packet = prebuilt.get(key);
      if (packet === undefined) {
        const [, mtu = '', node = ''] = key.split('/');
        packet = publishPacket(`command/inbox/${node}/dfu`, Buffer.alloc(Number(mtu) + AROUND), 0);
        prebuilt.set(key, packet);
      }
      if (qos === 1) out.push(pubackPacket(id));
      out.push(packet);
    },
    // What came in one read is answered by one write.
    onRead: (socket: Socket) => {
      socket.cork();
      for (const packet of out.splice(0)) socket.write(packet);
      socket.uncork();
    },
  });
  serveUsage();
}

await main();
