import { randomBytes } from 'node:crypto';
import type { BrokerMessage, BrokerSession, HouseMessage } from '#sim/broker-rules.ts';
import { VirtualClock } from '#sim/clock.ts';
import { HOUR_MS } from '#kit/duration.ts';
import type { Clock } from '#ports/clock.ts';
import type { AwsCa } from './ca.ts';
import { AwsError } from './errors.ts';
import type { AwsRegistry } from './registry.ts';
import { isObject, type JsonObject } from './shadow-document.ts';
import { fillTemplate } from './template.ts';
import type { ReservedTopic } from './topics.ts';

/** What a hook says to a device that wants a thing (docs/protocols/aws-iot.md §11.4). */
export type ProvisioningHook = (parameters: Readonly<Record<string, string>>) => {
  readonly allowProvisioning: boolean;
  readonly parameterOverrides?: Readonly<Record<string, string>>;
};

export interface ProvisioningTemplate {
  readonly body: string;
  readonly enabled: boolean;
  readonly hook?: ProvisioningHook;
}

export interface ProvisioningOptions {
  readonly clock: Clock;
  readonly registry: AwsRegistry;
  ca(): Promise<AwsCa>;
  /** To that client alone: keys are nobody else's business. */
  publish(message: HouseMessage, to: string): void;
}

export type ProvisioningRequest = Extract<ReservedTopic, { kind: 'certificate' | 'provision' }>;

/** A certificate whose owner may still ask for a thing. */
interface Claim {
  readonly certificateId: string;
  readonly expiresAt: number;
}

/** Error codes in answers, by the error of the registry. */
const CODES: Partial<Record<AwsError['code'], string>> = {
  ForbiddenException: 'AccessDenied',
  ResourceNotFoundException: 'ResourceNotFound',
  InvalidRequestException: 'InvalidParameters',
};

/**
 * Fleet provisioning by claim in its JSON form: a device that connects with a claim certificate gets one of its own, and
 * by a template a thing with its policies. The answer goes to the requester alone, if it subscribed to the topic.
 */
export class Provisioning {
  readonly #options: ProvisioningOptions;
  readonly #claims = new Map<string, Claim>();
  readonly templates = new Map<string, ProvisioningTemplate>();

  constructor(options: ProvisioningOptions) {
    this.#options = options;
  }

  /** A request that came over MQTT. Time of a virtual clock stands still while keys are made. */
  take(session: BrokerSession, request: ProvisioningRequest, message: BrokerMessage): void {
    const { clock } = this.#options;
    const work = this.#answer(session, request, message);
    void (clock instanceof VirtualClock ? clock.track(work) : work);
  }

  async #answer(session: BrokerSession, request: ProvisioningRequest, { topic, payload, qos }: BrokerMessage): Promise<void> {
    const reply = (name: string, document: object): void =>
      this.#options.publish({ topic: `${topic}/${name}`, payload: Buffer.from(JSON.stringify(document)), qos }, session.clientId);
    try {
      const body = parsed(payload);
      reply('accepted', request.kind === 'certificate' ? await this.#issue(request.from, body) : this.#provision(request.template, body));
    } catch (error) {
      if (!(error instanceof AwsError)) throw error;
      const { status, code, message } = error;
      reply('rejected', { statusCode: status, errorCode: CODES[code] ?? code.replace(/Exception$/, ''), errorMessage: message });
    }
  }

  async #issue(from: 'keys' | 'csr', body: JsonObject): Promise<object> {
    this.#forget();
    const now = this.#options.clock.now();
    const ca = await this.#options.ca();
    const csr = body['certificateSigningRequest'];
    if (from === 'csr' && typeof csr !== 'string') throw new AwsError('InvalidRequestException', 'certificateSigningRequest is missing');
    const issued =
      typeof csr === 'string' && from === 'csr' ? { certificate: await ca.fromCsr(csr, now), key: null } : await ca.withKey(now);
    const { id, pem } = this.#options.registry.addCertificate(issued.certificate, 'PENDING_ACTIVATION');
    const token = randomBytes(48).toString('base64url');
    this.#claims.set(token, { certificateId: id, expiresAt: now + HOUR_MS });
    const key = issued.key === null ? {} : { privateKey: issued.key };
    return { certificateId: id, certificatePem: pem, ...key, certificateOwnershipToken: token };
  }

  #provision(name: string, body: JsonObject): object {
    this.#forget();
    const template = this.templates.get(name);
    if (template === undefined || !template.enabled) throw new AwsError('ResourceNotFoundException', `The template ${name} does not exist`);
    const token = body['certificateOwnershipToken'];
    const claim = typeof token === 'string' ? this.#claims.get(token) : undefined;
    if (typeof token !== 'string' || claim === undefined)
      throw new AwsError('InvalidRequestException', 'Invalid certificate ownership token');
    const asked = parametersOf(body['parameters']);
    const verdict = template.hook?.(asked) ?? { allowProvisioning: true };
    if (!verdict.allowProvisioning) throw new AwsError('ForbiddenException', 'The pre-provisioning hook does not allow it');
    const { thing, policies, status, deviceConfiguration } = fillTemplate(
      template.body,
      { ...asked, ...verdict.parameterOverrides },
      claim.certificateId,
    );
    const { registry } = this.#options;
    for (const policy of policies) registry.policy(policy);
    for (const group of thing.groups) registry.createGroup(group);
    if (!registry.hasThing(thing.name)) registry.createThing(thing.name, { attributes: thing.attributes });
    for (const group of thing.groups) registry.addToGroup(thing.name, group);
    const principal = registry.arn(`cert/${claim.certificateId}`);
    registry.attachThing(thing.name, principal);
    for (const policy of policies) registry.attachPolicy(policy, principal);
    registry.setStatus(claim.certificateId, status);
    this.#claims.delete(token);
    return { deviceConfiguration, thingName: thing.name };
  }

  /** A token lives for an hour; a certificate that waits for its thing by then is taken away. */
  #forget(): void {
    const { registry, clock } = this.#options;
    for (const [token, { certificateId, expiresAt }] of this.#claims) {
      if (clock.now() < expiresAt) continue;
      this.#claims.delete(token);
      if (registry.findCertificate(certificateId)?.status === 'PENDING_ACTIVATION') registry.deleteCertificate(certificateId, true);
    }
  }
}

function parsed(payload: Uint8Array): JsonObject {
  try {
    const value: unknown = JSON.parse(Buffer.from(payload).toString() || '{}');
    if (isObject(value)) return value;
  } catch {
    // Said below.
  }
  throw new AwsError('InvalidRequestException', 'The payload is no JSON object');
}

function parametersOf(value: unknown): Readonly<Record<string, string>> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(entries.flatMap(([name, text]) => (typeof text === 'string' ? [[name, text] as const] : [])));
}
