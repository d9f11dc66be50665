/** `1 device`, `3 devices`, `2 batches`. */
export function counted(count: number, noun: string): string {
  if (count === 1) return `1 ${noun}`;
  return `${count} ${/(s|x|ch|sh)$/.test(noun) ? `${noun}es` : `${noun}s`}`;
}

/**
 * What one device does said of several: `erases stored tables` of 41 is `erase stored tables`. Effects are written in the
 * third person by the families.
 */
export function effectOf(count: number, effect: string): string {
  if (count === 1) return effect;
  const [verb = '', ...rest] = effect.split(' ');
  return [pluralVerb(verb), ...rest].join(' ');
}

const IRREGULAR: Readonly<Record<string, string>> = { is: 'are', has: 'have', does: 'do', was: 'were', goes: 'go' };

function pluralVerb(verb: string): string {
  const irregular = IRREGULAR[verb];
  if (irregular !== undefined) return irregular;
  if (/(sh|ch|ss|x)es$/.test(verb)) return verb.slice(0, -2);
  return /[a-z]s$/.test(verb) ? verb.slice(0, -1) : verb;
}

/** The first names, and how many more there are. */
export function firstOf(names: readonly string[], most = 5): string {
  if (names.length <= most) return names.join(', ');
  return `${names.slice(0, most).join(', ')} and ${names.length - most} more`;
}

/** `CR1000X.8.1.0` to `CR1000X.8.2.1`: a model in front of both versions is said once, so this is `8.2.1`. */
export function withoutModel(from: string | null, to: string): string {
  const model = /^[A-Za-z][A-Za-z\d]*\.(?=\d)/.exec(from ?? '')?.[0] ?? '';
  return model !== '' && to.startsWith(model) ? to.slice(model.length) : to;
}

/** Counts by key, the most frequent first, equal ones by name. */
export function tally(keys: Iterable<string>): readonly (readonly [string, number])[] {
  const counts = new Map<string, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return byCount(counts);
}

/** The most frequent first, equal ones by name. */
export function byCount(counts: ReadonlyMap<string, number>): readonly (readonly [string, number])[] {
  return [...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
}

/** `18 CR1000X, 3 CR6`. */
export function tallyText(keys: Iterable<string>): string {
  return tally(keys)
    .map(([key, count]) => `${count} ${key}`)
    .join(', ');
}

/**
 * The upper bound, at 95 %, of the failure rate after `failures` in `trials` (Clopper-Pearson, one-sided). Without a
 * failure it is 1 − 0.05^(1/n), the exact form of the rule of three.
 */
export function failureBound(trials: number, failures: number): number {
  if (trials <= 0 || failures >= trials) return 1;
  let [low, high] = [0, 1];
  for (let step = 0; step < 60; step += 1) {
    const middle = (low + high) / 2;
    if (atMost(failures, trials, middle) > 0.05) low = middle;
    else high = middle;
  }
  return high;
}

/** Probability of at most `failures` in `trials` at that rate. */
function atMost(failures: number, trials: number, rate: number): number {
  let term = (1 - rate) ** trials;
  let sum = term;
  for (let k = 1; k <= failures; k += 1) {
    term *= ((trials - k + 1) / k) * (rate / (1 - rate));
    sum += term;
  }
  return sum;
}

/** `63 %`, `2.9 %`: two digits that say something. */
export function percentText(share: number): string {
  const percent = share * 100;
  return `${percent < 10 ? Number(percent.toFixed(1)) : Math.round(percent)} %`;
}

/** A value as people read it: of a SHA-256 the first twelve digits. */
export function shortValue(value: string): string {
  return value.replaceAll(/\b([0-9a-f]{12})[0-9a-f]{52}\b/g, '$1');
}
