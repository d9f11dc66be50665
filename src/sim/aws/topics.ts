import type { ShadowAddress } from './shadow-store.ts';

export type ShadowVerb = 'get' | 'update' | 'delete';
export type ShadowAnswerName = 'accepted' | 'rejected' | 'delta' | 'documents';

/** What a topic below `$aws/` is for (docs/protocols/aws-iot.md §5.1, §11.4). */
export type ReservedTopic =
  | { readonly kind: 'shadow'; readonly address: ShadowAddress; readonly verb: ShadowVerb }
  | { readonly kind: 'certificate'; readonly from: 'keys' | 'csr' }
  | { readonly kind: 'provision'; readonly template: string }
  /** Only the service publishes here. */
  | { readonly kind: 'owned' };

/** Names of things and of shadows, as AWS takes them. Shadow names with `$` are its own (`$package`). */
export const THING_NAME = /^[a-zA-Z0-9:_-]{1,128}$/;
export const SHADOW_NAME = /^(?:[a-zA-Z0-9:_-]{1,64}|\$package)$/;

const SHADOW = /^\$aws\/things\/([^/]+)\/shadow(?:\/name\/([^/]+))?\/(get|update|delete)$/;
const OWNED = [
  /^\$aws\/things\/[^/]+\/shadow(\/name\/[^/]+)?\/(get|update|delete)\/(accepted|rejected)$/,
  /^\$aws\/things\/[^/]+\/shadow(\/name\/[^/]+)?\/update\/(delta|documents)$/,
  /^\$aws\/(certificates\/(create|create-from-csr)|provisioning-templates\/[^/]+\/provision)\/json\/(accepted|rejected)$/,
  /^\$aws\/events\//,
];

/** Null for a topic that AWS does not have, or that nobody may publish to. */
export function reservedTopic(topic: string): ReservedTopic | null {
  const [, thing, shadow = null, verb] = SHADOW.exec(topic) ?? [];
  if (thing !== undefined) {
    if (!THING_NAME.test(thing) || (shadow !== null && !SHADOW_NAME.test(shadow))) return null;
    return { kind: 'shadow', address: { thing, shadow }, verb: verb as ShadowVerb };
  }
  if (topic === '$aws/certificates/create/json') return { kind: 'certificate', from: 'keys' };
  if (topic === '$aws/certificates/create-from-csr/json') return { kind: 'certificate', from: 'csr' };
  const [, template] = /^\$aws\/provisioning-templates\/([^/]+)\/provision\/json$/.exec(topic) ?? [];
  if (template !== undefined) return { kind: 'provision', template };
  return OWNED.some((pattern) => pattern.test(topic)) ? { kind: 'owned' } : null;
}

export function shadowTopic({ thing, shadow }: ShadowAddress, verb: ShadowVerb, answer: ShadowAnswerName): string {
  return `$aws/things/${thing}/shadow${shadow === null ? '' : `/name/${shadow}`}/${verb}/${answer}`;
}
