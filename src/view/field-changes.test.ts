import { describe, expect, it } from 'vitest';
import type { DevicePlan, FieldChange } from '#model/plan.ts';
import { deviceId } from '#model/ids.ts';
import { changeText, fieldTallies, tallyChange, tallyDevices } from './field-changes.ts';

function planned(id: string, fields: readonly FieldChange[] | undefined): DevicePlan {
  const drift = { item: 'config', from: 'a', to: 'b', part: 'config', ...(fields === undefined ? {} : { fields }) } as const;
  const none = { operations: [], impossible: [], open: [], upkeep: [] };
  return { device: deviceId(id), row: 0, group: null, model: 'CANedge2', drifts: [drift], converged: false, upkeepCause: null, ...none };
}

const ota = (from: string | null, to: string | null): FieldChange => ({ path: 'connect.s3.sync.ota', from, to });

describe('fields that change', () => {
  it('are told once for all devices that make the same change', () => {
    const [tally, ...more] = fieldTallies([planned('a', [ota('600', '300')]), planned('b', [ota('600', '300')]), planned('c', undefined)]);
    expect(more).toEqual([]);
    expect(tally === undefined ? '' : `${tally.path}  ${tallyChange(tally)}  ${tallyDevices(tally)}`).toBe(
      'connect.s3.sync.ota  600 → 300  2 devices',
    );
  });

  it('are counted where devices make different ones', () => {
    const [tally] = fieldTallies([planned('a', [ota('600', '300')]), planned('b', [ota('900', '300')])]);
    expect(tally === undefined ? '' : tallyChange(tally)).toBe('2 different changes, such as 600 → 300');
  });

  it.each([
    [ota('600', '300'), '600 → 300'],
    [ota(null, '300'), '300 added'],
    [ota('600', null), '600 taken out'],
    [ota(null, null), ''],
  ])('read %j as %j', (field, text) => {
    expect(changeText(field)).toBe(text);
  });

  it('are not gathered without end', () => {
    const many = Array.from({ length: 1000 }, (_, index) => ({ path: `f${index}`, from: null, to: '1' }));
    expect(fieldTallies([planned('a', many)])).toHaveLength(256);
    const differing = Array.from({ length: 200 }, (_, index) => planned(`d${index}`, [ota(String(index), '1')]));
    const [tally] = fieldTallies(differing);
    expect(tally === undefined ? '' : tallyChange(tally)).toMatch(/^64 and more different changes/);
  });
});
