import type { AedesPublishPacket, Client } from 'aedes';

type Deliver = (packet: AedesPublishPacket, done: () => void) => void;

/** What the types of aedes leave out: whether CONNACK went out, and how a message goes to a client. */
interface Greeted {
  readonly connackSent: boolean;
  deliver0: Deliver;
  deliverQoS: Deliver;
}

/**
 * A session that stood before listens before it is let in, and aedes would send to it ahead of CONNACK, at which clients
 * break off. What comes until then lies in the session's queue as well, and goes out from there; what has no queue (QoS 0)
 * is lost, as for whoever is away.
 */
export function silentUntilLetIn(client: Client): void {
  if (!isGreeted(client)) throw new TypeError('aedes delivers otherwise than it did');
  const { deliver0, deliverQoS } = client;
  const held =
    (deliver: Deliver): Deliver =>
    (packet, done) => {
      if (client.connackSent) deliver(packet, done);
      else setImmediate(done);
    };
  client.deliver0 = held(deliver0);
  client.deliverQoS = held(deliverQoS);
}

function isGreeted(client: object): client is Client & Greeted {
  const { connackSent, deliver0, deliverQoS } = client as Partial<Greeted>;
  return typeof connackSent === 'boolean' && typeof deliver0 === 'function' && typeof deliverQoS === 'function';
}
