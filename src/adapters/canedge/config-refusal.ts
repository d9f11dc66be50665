import type { Content } from '#model/declared.ts';
import type { Impossible } from '#model/plan.ts';
import { connectSummary, type ConnectSummary } from './connect.ts';
import { readOptions, type DeclaredConfigFacts } from './facts.ts';
import { changeGuards, sealedSecretGuards, standing, withoutFlawsOf, type Guard, type GuardCode } from './guards.ts';
import { parseFirmwareImage } from './image.ts';
import { modelByName } from './models.ts';
import { compileRuleSchema } from './schema.ts';
import { documentOf, linkChange, type Situation } from './situation.ts';
import { isTls, linkRefusal, type LinkChange } from './trust-operations.ts';

/** Why the declared config must not be written: lock-out guards first, then what the Rule Schema says. */
export function configRefusal(
  situation: Situation,
  checked: { readonly schema: 'ok' | 'missing' | 'unusable'; readonly problems: readonly string[] } | null,
): Impossible | null {
  const { wants, runs, device } = situation;
  const config = wants.config;
  if (config === null) return null;
  const document = documentOf(config.item.content);
  const link = document === undefined ? null : { next: connectSummary(document), change: linkChange(situation, document) };
  const against = document === undefined || runs.config.running === null ? [] : changeGuards(runs.config.running, document);
  const waits = link === null ? null : linkRefusal(link.next, { ...trustOf(situation), change: link.change });
  // Which certificates are missing says more than that another server is declared.
  if (waits?.reason === 'LOCKOUT_GUARD') return { item: 'config', ...waits };
  const declaredMove = link !== null && isVouchedFor(link.change, link.next, situation.trust !== null);
  const relative = against.filter(({ code }) => !(declaredMove && code === 'endpoint'));
  const sealed = sealedSecretGuards(runs.config.running, { ssids: link?.next.ssids ?? [], secrets: config.secrets });
  const own = asGuards(config.guards);
  const { compared } = runs.config;
  const seen = compared?.digest === config.item.content?.digest ? asGuards(compared?.guards ?? []) : [];
  const guard = standing(
    [...withoutFlawsOf(runs.config.running, own), ...relative, ...sealed, ...seen],
    readOptions(device.options).allow,
  )[0];
  if (guard !== undefined) {
    const way = guard.code === null ? '' : ` (options: { allow: [${guard.code}] } lets it through)`;
    return { item: 'config', reason: 'LOCKOUT_GUARD', evidence: `${guard.text}${way}` };
  }
  if (waits !== null) return { item: 'config', ...waits };
  if (checked === null || (checked.schema === 'ok' && checked.problems.length === 0)) return null;
  if (checked.schema !== 'ok') return { item: 'config', reason: 'UNSUPPORTED', evidence: checked.problems.join('; ') };
  return { item: 'config', reason: 'INCOMPATIBLE', evidence: `the device would refuse it: ${checked.problems.join('; ')}` };
}

/** Another server is let through without a person's leave only by the certificates for it, where it has one (§7.3). */
function isVouchedFor(change: LinkChange, next: ConnectSummary, pinned: boolean): boolean {
  return (change === 'tls' || change === 'move') && (pinned || !isTls(next.endpoint));
}

function asGuards(guards: DeclaredConfigFacts['guards']): readonly Guard[] {
  return guards.map(({ code, text }) => ({ code: code as GuardCode | null, text }));
}

/** Checks a config against the Rule Schema inside an image that is at hand; null when it is not. */
export function imageProblems(
  image: Content | null,
  config: Content | null,
): { readonly schema: 'ok' | 'unusable'; readonly problems: readonly string[] } | null {
  const document = documentOf(config);
  if (image?.kind !== 'bytes' || document === undefined) return null;
  const parsed = parseFirmwareImage(image.bytes);
  if (!parsed.ok) return { schema: 'unusable', problems: [parsed.error.message] };
  const schema = compileRuleSchema(parsed.value.schema.bytes);
  return schema.ok ? { schema: 'ok', problems: schema.value.check(document) } : { schema: 'unusable', problems: [schema.error.message] };
}

function trustOf({ trust, trustSteps, device }: Situation): Omit<Parameters<typeof linkRefusal>[1], 'change'> {
  return { trust, adds: trustSteps.first.length > 0, network: modelByName(device.model)?.network ?? '' };
}
