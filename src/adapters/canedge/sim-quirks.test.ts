import { describe, expect, it } from 'vitest';
import { DEFAULT_QUIRKS } from './sim-faults.ts';
import { parseQuirks } from './sim-quirks.ts';

describe('quirks as a person writes them', () => {
  it('are those of the simulator, each at its default too', () => {
    const { otaOrder, ...others } = DEFAULT_QUIRKS;
    expect(parseQuirks({ ...others, otaOrder: otaOrder.join(',') })).toEqual(DEFAULT_QUIRKS);
    expect(parseQuirks({ otaOrder: 'config,firmware,certs', busyFactor: 5 })).toEqual({
      otaOrder: ['config', 'firmware', 'certs'],
      busyFactor: 5,
    });
  });

  it.each([
    [{ colour: 'red' }, 'a CANedge has no quirk "colour"; it knows allowPatchDowngrade'],
    [{ onInvalidConfig: 'explode' }, 'onInvalidConfig is one of keep, empty, defaults, not explode'],
    [{ busyFactor: 6 }, 'busyFactor is a number from 1 to 5, not 6'],
    [{ deleteFirmwareFromBucket: 'yes' }, 'deleteFirmwareFromBucket is true or false, not yes'],
    [{ otaOrder: 'config,config,certs' }, 'otaOrder names each of certs, firmware, config once'],
    [{ otaOrder: 3 }, 'otaOrder names each'],
  ])('%o is none', (written, message) => {
    expect(() => parseQuirks(written)).toThrow(message);
  });
});
