// Loaded before a program whose words are compared with a file: its clock begins at SET_CLOCK and runs on from there.
const began = Number(process.env.SET_CLOCK);
const real = Date;
const shift = began - real.now();

globalThis.Date = class extends real {
  constructor(...parts) {
    if (parts.length === 0) super(real.now() + shift);
    else super(...parts);
  }

  static now() {
    return real.now() + shift;
  }
};
