import type { Selectable } from '#model/selector.ts';
import { matches } from '#model/selector.ts';
import { at, keyAt } from './nodes.ts';
import type { CompiledRollout } from './rollouts.ts';
import type { Scope } from './scope.ts';
import { reportNobody, type Facts } from './selectors.ts';

/**
 * Waves of a rollout that no device of any of its groups can ever be in: their selector matches nobody, or only devices
 * that waves before have taken. A rollout that no group uses says nothing yet.
 */
export function reportEmptyWaves(
  rollout: CompiledRollout,
  members: readonly (readonly Selectable[])[],
  context: { scope: Scope; facts: Facts },
): void {
  const { rules, document, selectors } = rollout;
  const { scope } = context;
  // Devices that are missing because something could not be read may be those of the wave.
  const unsure = scope.broken.has('Devices') || scope.broken.has('Group') || context.facts.inventory.partial;
  if (document === null || unsure || members.every((group) => group.length === 0)) return;
  let left = members.map((group) => [...group]);
  for (const [index, wave] of rules.waves.entries()) {
    const selector = wave.select;
    const source = selectors[index] ?? null;
    if (selector === null || source === null) continue;
    const inFleet = members.some((group) => group.some((device) => matches(selector, device)));
    if (!inFleet) {
      reportOutside({ rollout, source, index }, context);
      continue;
    }
    const here = left.some((group) => group.some((device) => matches(selector, device)));
    if (!here) {
      scope.report.error('WAVE_EMPTY', at(document, 'waves', index, 'name'), {
        summary: `the wave \`${wave.name}\` can hold nobody: the waves before take everyone that it selects`,
        fix: 'take it out, or move it up',
      });
    }
    if (wave.count === null) left = left.map((group) => group.filter((device) => !matches(selector, device)));
  }
}

/** Nobody in these groups: perhaps nobody at all, perhaps only devices of other groups. */
function reportOutside(
  wave: { readonly rollout: CompiledRollout; readonly source: NonNullable<CompiledRollout['selectors'][number]>; readonly index: number },
  context: { scope: Scope; facts: Facts },
): void {
  const { rollout, source, index } = wave;
  const selector = rollout.rules.waves[index]?.select;
  if (selector === null || selector === undefined || rollout.document === null) return;
  const elsewhere = context.facts.inventory.rows.some((row) => matches(selector, { ...row, id: row.id as Selectable['id'], group: null }));
  if (!elsewhere) {
    reportNobody(selector, source, context);
    return;
  }
  context.scope.report.error('SELECTS_NOBODY', keyAt(rollout.document, 'waves', index, 'select'), {
    summary: `no device of a group with the rollout \`${rollout.rules.name}\` is selected here`,
    fix: 'select by a label that devices of these groups have',
  });
}
