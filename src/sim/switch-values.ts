/** What each switch of a simulated service may be: its values, or a number within bounds. */
export type SwitchValues = Readonly<Record<string, readonly (string | number | boolean)[] | readonly [least: number, most: number]>>;

/** Reads switches as a person writes them: names and texts. Throws a RangeError that says what there is. */
export function readWrittenSwitches(
  all: SwitchValues,
  written: Readonly<Record<string, string>>,
): Readonly<Record<string, string | number | boolean>> {
  return Object.fromEntries(
    Object.entries(written).map(([name, text]) => {
      const values = Object.hasOwn(all, name) ? all[name] : undefined;
      if (values === undefined) throw new RangeError(`${JSON.stringify(name)} is no switch; there are ${Object.keys(all).join(', ')}`);
      const [least, most] = values;
      if (typeof least === 'number' && typeof most === 'number') {
        const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
        if (value >= least && value <= most) return [name, value];
        throw new RangeError(`${name} is a number from ${least} to ${most}, not ${JSON.stringify(text)}`);
      }
      const value = values.find((one) => String(one) === text);
      if (value === undefined) throw new RangeError(`${name} is ${values.map(String).join(' or ')}, not ${JSON.stringify(text)}`);
      return [name, value];
    }),
  );
}
