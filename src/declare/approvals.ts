import type { ApprovalDeclaration } from '#model/declared.ts';
import type { ApprovalDocument } from '#model/generated/fleet-repo.ts';
import { deviceId, groupName } from '#model/ids.ts';
import type { CompiledGroup } from './groups.ts';
import type { Inventory } from './inventory.ts';
import { at, keyAt, type SourceDocument } from './nodes.ts';
import type { CompiledRollout } from './rollouts.ts';
import { reportUnknown, type Scope } from './scope.ts';
import { count, flag } from './units.ts';

interface Context {
  readonly scope: Scope;
  readonly inventory: Inventory;
  readonly groups: ReadonlyMap<string, CompiledGroup>;
  readonly rollouts: ReadonlyMap<string, CompiledRollout>;
}

/** All approvals, in order of file and line. */
export function declareApprovals(context: Context): readonly ApprovalDeclaration[] {
  return context.scope.documents.Approval.map((document) => {
    const { data } = document;
    check(document, context);
    return {
      place: keyAt(document, 'kind'),
      reason: data.reason,
      group: data.group === undefined ? null : groupName(data.group),
      release: data.release ?? null,
      wave: data.wave ?? null,
      unblock: flag(data.unblock, false),
      again: (data.again ?? []).map(deviceId),
      merge: data.merge ?? null,
      change: data.change === undefined ? null : count(data.change, 0),
      leave: data.leave === undefined ? null : count(data.leave, 0),
    };
  });
}

function check(document: SourceDocument<ApprovalDocument>, context: Context): void {
  const { scope, inventory, groups } = context;
  const { data } = document;
  const { report } = scope;
  const place = at(document, 'kind');
  const ofRelease = data.wave !== undefined || data.unblock !== undefined || data.again !== undefined;
  if (!ofRelease && data.merge === undefined) {
    report.error('APPROVAL_SAYS_NOTHING', place, {
      summary: 'this approves nothing',
      fix: 'add `wave:`, `unblock: true`, `again:` or `merge:`',
    });
  }
  for (const key of ['group', 'release'] as const) {
    if (!ofRelease || data[key] !== undefined) continue;
    report.error('MISSING_KEY', place, {
      summary: `the approval does not say of which ${key}`,
      fix: `add \`${key}:\`; \`headgate approve\` writes it`,
    });
  }
  if (data.merge === undefined && (data.change !== undefined || data.leave !== undefined)) {
    report.error('MISSING_KEY', place, {
      summary: '`change` and `leave` belong to a merge',
      fix: 'add `merge:` with the digest that the plan prints',
    });
  }
  if (data.group !== undefined && !groups.has(data.group)) {
    reportUnknown(scope, at(document, 'group'), { what: 'group', kind: 'Group', name: data.group, known: groups.keys() });
  } else if (data.group !== undefined && data.wave !== undefined) checkWave(document, context);
  for (const [index, id] of (data.again ?? []).entries()) {
    if (inventory.byId.has(id) || inventory.partial) continue;
    reportUnknown(scope, at(document, 'again', index), { what: 'device', kind: 'Devices', name: id, known: inventory.byId.keys() });
  }
}

function checkWave(document: SourceDocument<ApprovalDocument>, context: Context): void {
  const { group: name = '', wave = '' } = document.data;
  const group = context.groups.get(name);
  const rules = context.rollouts.get(group?.rollout ?? '')?.rules;
  if (rules === undefined) return;
  const known = [...rules.waves, ...rules.rollback.waves].map((one) => one.name);
  if (known.includes(wave)) return;
  reportUnknown(context.scope, at(document, 'wave'), { what: 'wave', kind: null, name: wave, known });
}
