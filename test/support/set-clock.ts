// Loaded before a program whose words are compared with a file: its clock begins at SET_CLOCK and runs on from there.
const Real = Date;
/** How far the clock is ahead of the machine's. */
export const shiftMs = Number(process.env['SET_CLOCK']) - Real.now();

class ShiftedDate extends Real {
  constructor(...parts: [] | [string | number | Date]) {
    if (parts.length === 0) super(Real.now() + shiftMs);
    else super(...parts);
  }

  static override now(): number {
    return Real.now() + shiftMs;
  }
}

Object.assign(globalThis, { Date: ShiftedDate });
