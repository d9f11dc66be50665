import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { tlsOptions, type BrokerTls } from './broker-tls.ts';
import { peerCertificate, type PeerCertificate } from './peer-certificate.ts';

interface PortOptions {
  /** 0 takes a free one, and keeps it when it is opened again. */
  readonly port: number;
  readonly host: string;
  readonly tls: BrokerTls | undefined;
  accept(socket: Socket, certificate: PeerCertificate | null): void;
}

/** Where a broker listens: TCP, or TLS. Can be closed and opened again at the same place. */
export class BrokerPort {
  readonly #options: PortOptions;
  #server: Server | null = null;
  #port: number;
  /** Null until it was opened. */
  url: string | null = null;

  constructor(options: PortOptions) {
    this.#options = options;
    this.#port = options.port;
  }

  /** Rejects when the port is taken. */
  async open(): Promise<void> {
    const { tls, host } = this.#options;
    const accept = (socket: Socket): void => {
      socket.setNoDelay(true);
      const shown = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
      this.#options.accept(socket, shown === undefined ? null : peerCertificate(shown));
    };
    const server = tls === undefined ? createServer(accept) : createTlsServer(tlsOptions(tls), accept);
    // A client that fails its handshake is no trouble of the broker's.
    server.on('tlsClientError', () => undefined);
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(this.#port, host, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#server = server;
    this.#port = (server.address() as AddressInfo).port;
    this.url = `${tls === undefined ? 'mqtt' : 'mqtts'}://${host.includes(':') ? `[${host}]` : host}:${this.#port}`;
  }

  /** Takes no more connections; resolves when those that stand are gone. */
  close(): Promise<void> {
    const server = this.#server;
    this.#server = null;
    return server === null ? Promise.resolve() : new Promise((resolve) => server.close(() => resolve()));
  }
}
