import type { BrokerSession } from '#sim/broker-rules.ts';
import type { AwsCall } from './http-message.ts';
import { isObject } from './shadow-document.ts';
import type { AwsRegistry } from './registry.ts';

/**
 * What a client wants to do: `Publish` on `topic/a/b`, `Connect` as `client/x`, `Subscribe` to `topicfilter/a/+`. Over HTTP
 * the name of the operation, on `thing/a`, `thing/a/SHADOW`, `topic/a/b` or `client/x`.
 */
export interface PolicyAct {
  readonly action: string;
  readonly resource: string;
}

/** What a call over HTTP is asked for; what is about nothing by name is about all. */
export function actOf(operation: string, { label, query }: Pick<AwsCall, 'label' | 'query'>): PolicyAct {
  const shadow = query('name');
  const [thing, topic, client] = [label('thingName'), label('topic'), label('clientId')];
  const resource = thing !== '' ? `thing/${thing}${shadow === null ? '' : `/${shadow}`}` : topic !== '' ? `topic/${topic}` : null;
  return { action: operation, resource: resource ?? (client === '' ? '*' : `client/${client}`) };
}

interface Statement {
  readonly deny: boolean;
  readonly actions: readonly string[];
  readonly resources: readonly string[];
}

/**
 * Whether the policies of the certificate of a session allow it: one must, and none may deny it. Clients without a
 * certificate are not asked for policies. Knows Effect, Action and Resource with `*`, and the variables of the client id,
 * the certificate and the thing whose name is the client id and to which the certificate is attached (aws-iot.md §3).
 */
export function allowed(registry: AwsRegistry, session: Pick<BrokerSession, 'clientId' | 'certificate'>, act: PolicyAct): boolean {
  if (session.certificate === null) return true;
  const certificate = registry.findCertificate(session.certificate.fingerprint);
  if (certificate === null) return false;
  const { clientId } = session;
  const variables = new Map([
    ['iot:ClientId', clientId],
    ['iot:Certificate.CertificateId', certificate.id],
    ...(certificate.things.includes(clientId) ? ([['iot:Connection.Thing.ThingName', clientId]] as const) : []),
  ]);
  const resource = registry.arn(act.resource);
  const hits = certificate.policies
    .flatMap((name) => statementsOf(registry.policy(name)))
    .filter(({ actions, resources }) => {
      const named = actions.some((pattern) => matches(pattern, `iot:${act.action}`, new Map()));
      return named && resources.some((pattern) => matches(pattern, resource, variables));
    });
  return hits.length > 0 && hits.every(({ deny }) => !deny);
}

const READ = new Map<string, readonly Statement[]>();

function statementsOf(document: string): readonly Statement[] {
  const known = READ.get(document) ?? read(document);
  READ.set(document, known);
  return known;
}

function read(document: string): readonly Statement[] {
  const policy: unknown = JSON.parse(document);
  const list: readonly unknown[] = isObject(policy) ? [policy['Statement']].flat() : [];
  return list.filter(isObject).map((statement) => ({
    deny: statement['Effect'] !== 'Allow',
    actions: textsOf(statement['Action']),
    resources: textsOf(statement['Resource']),
  }));
}

function textsOf(value: unknown): readonly string[] {
  return [value].flat().filter((text) => typeof text === 'string');
}

/** `*` stands for anything; a variable without a value matches nothing. */
function matches(pattern: string, text: string, variables: ReadonlyMap<string, string>): boolean {
  let known = true;
  const filled = pattern.replaceAll(/\$\{([^}]+)\}/g, (_, name: string) => {
    const value = variables.get(name);
    known &&= value !== undefined;
    return value ?? '';
  });
  if (!known) return false;
  const source = filled.split('*').map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`));
  return new RegExp(`^${source.join('[^]*')}$`).test(text);
}
