import { X509Certificate } from 'node:crypto';
import { SECOND_MS } from '#kit/duration.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { isJsonObject, type JsonObject } from '#model/shadow.ts';
import type { SimConnection, SimCredentials, SimPorts } from '#ports/sim.ts';
import { objectIn } from '#shadows/values.ts';
import { SDK_USERNAME } from './sim-link.ts';
import type { StoredCertificate } from './sim-store.ts';

/** One queued operation of a connection goes out each time (docs/protocols/shadow-devices.md §2.8, §2.10). */
const TICK_MS = 250;
/** The connection stands for so long before its first, and then its second operation goes out (§2.8). */
const FIRST_MS = 300;
const SECOND_OPERATION_MS = 1000;
const CREATE = '$aws/certificates/create/json';
/** More reconnects than these end the process by a crash (§2.8). */
const MOST_RECONNECTS = 5;
const KEEP_ALIVE_SECONDS = 300;

/** `config` of fleet provisioning: a claim certificate, a template, and what it is told. */
export interface ClaimConfig {
  readonly claim: { readonly certificate: string; readonly key: string };
  readonly template: string;
  readonly parameters: Readonly<Record<string, string>>;
}

export interface Provisioned {
  readonly certificate: StoredCertificate;
  /** What goes into the outfile: the thing, and the template's configuration. */
  readonly outfile: { readonly thing: string; readonly configuration: JsonObject };
}

/** `rejected`: the process ends with 1 after 30 s; `crashed`: at once. */
export type ProvisioningFailure = { readonly kind: 'rejected' | 'crashed'; readonly why: string };

/**
 * Fleet provisioning by claim over MQTT, packet by packet as chariotd does it (docs/protocols/shadow-devices.md §2.8): a
 * connection of its own with the client id `ID-fp`, QoS 0, one operation a tick. Waits for an answer until `signal`.
 */
export async function provision(
  ports: SimPorts,
  config: ClaimConfig & { readonly clientId: string },
  signal: AbortSignal,
): Promise<Result<Provisioned, ProvisioningFailure>> {
  const connection = await connected(ports, config, signal);
  if (connection === null) return err({ kind: 'crashed', why: 'the broker cannot be reached with the claim' });
  try {
    return await converse(ports, { config, connection, signal });
  } finally {
    await connection.drop().catch(() => undefined);
  }
}

async function connected(
  ports: SimPorts,
  { claim, clientId }: ClaimConfig & { readonly clientId: string },
  signal: AbortSignal,
): Promise<SimConnection | null> {
  const credentials: SimCredentials = {
    cert: claim.certificate,
    key: claim.key,
    ca: null,
    username: SDK_USERNAME,
    password: null,
  };
  for (let reconnects = 0; reconnects <= MOST_RECONNECTS && !signal.aborted; reconnects += 1) {
    try {
      return await ports.connect({
        clientId: `${clientId}-fp`,
        clean: true,
        keepAliveSeconds: KEEP_ALIVE_SECONDS,
        will: null,
        credentials,
      });
    } catch {
      await ports.clock.sleep(2 ** reconnects * SECOND_MS, signal).catch(() => undefined);
    }
  }
  return null;
}

interface Conversation {
  readonly config: ClaimConfig;
  readonly connection: SimConnection;
  readonly signal: AbortSignal;
}

/** Nobody waits for an acknowledgement: QoS 0, and the subscriptions are sent and forgotten. */
async function converse(ports: SimPorts, { config, connection, signal }: Conversation): Promise<Result<Provisioned, ProvisioningFailure>> {
  const { bus } = connection;
  const provisioning = `$aws/provisioning-templates/${config.template}/provision/json`;
  const answers = (topic: string): readonly string[] => [`${topic}/accepted`, `${topic}/rejected`];
  const forget = (topics: readonly string[]): void => void bus.unsubscribe?.(topics).catch(() => undefined);
  const hear = (topics: readonly string[]): void => void bus.subscribe(topics, 0).catch(() => undefined);
  const say = (topic: string, body: object): void =>
    void bus.publish(topic, new TextEncoder().encode(JSON.stringify(body)), { qos: 0 }).catch(() => undefined);
  const pause = (ms: number): Promise<void> => ports.clock.sleep(ms, signal).catch(() => undefined);
  const heard = listening(connection, signal);
  await pause(FIRST_MS);
  forget(answers(provisioning));
  hear(answers(CREATE));
  await pause(SECOND_OPERATION_MS);
  const created = heard(CREATE);
  say(CREATE, {});
  const issued = certificateIn(await created, ports.clock.now());
  if (!issued.ok) return issued;
  forget(answers(CREATE));
  hear(answers(provisioning));
  await pause(TICK_MS);
  const registered = heard(provisioning);
  say(provisioning, { certificateOwnershipToken: issued.value.token, parameters: config.parameters });
  const answer = await registered;
  if (!answer.ok) return answer;
  const { thingName, deviceConfiguration } = answer.value;
  const configuration = isJsonObject(deviceConfiguration) ? deviceConfiguration : {};
  return ok({ certificate: issued.value, outfile: { thing: typeof thingName === 'string' ? thingName : '', configuration } });
}

type Answer = Result<JsonObject, ProvisioningFailure>;

/** The first answer under a topic from now on; a lost connection, or the end of the process, is one, too. */
function listening({ bus, onLost }: SimConnection, signal: AbortSignal): (topic: string) => Promise<Answer> {
  const ends = new Set<(answer: Answer) => void>();
  const over = (): void => {
    for (const end of ends) end(err({ kind: 'crashed', why: 'the connection with the claim was lost' }));
  };
  onLost(over);
  signal.addEventListener('abort', over, { once: true });
  return (topic) =>
    new Promise((resolve) => {
      ends.add(resolve);
      if (signal.aborted) over();
      bus.listen((message) => {
        const body = objectIn(message.payload) ?? {};
        if (message.topic === `${topic}/accepted`) resolve(ok(body));
        else if (message.topic === `${topic}/rejected`)
          resolve(err({ kind: 'rejected', why: JSON.stringify(body['errorMessage'] ?? 'rejected') }));
      });
    });
}

function certificateIn(answer: Answer, issuedAt: number): Result<StoredCertificate & { readonly token: string }, ProvisioningFailure> {
  if (!answer.ok) return answer;
  const { certificatePem, privateKey, certificateOwnershipToken: token } = answer.value;
  if (typeof certificatePem !== 'string' || typeof privateKey !== 'string' || typeof token !== 'string')
    return err({ kind: 'crashed', why: 'the answer holds no certificate' });
  const id = new X509Certificate(certificatePem).fingerprint256.replaceAll(':', '').toLowerCase();
  return ok({ id, certificate: certificatePem, key: privateKey, issuedAt, token });
}
