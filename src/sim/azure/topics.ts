/** What a device publishes to (docs/protocols/shadow-devices.md §8). `answer` is null where it asks for none. */
export type DeviceTopic =
  | { readonly kind: 'get'; readonly rid: string }
  | { readonly kind: 'report'; readonly rid: string | null; readonly plainRid: string | null }
  | { readonly kind: 'method'; readonly rid: string; readonly status: number }
  /** Telemetry: taken, and nobody here reads it. */
  | { readonly kind: 'telemetry' };

const GET = /^\$iothub\/twin\/GET\/\?(.*)$/;
const REPORT = /^\$iothub\/twin\/PATCH\/properties\/reported\/\?(.*)$/;
/** Mongoose OS answers with the code of its error, which may be below zero (§8.8). */
const METHOD = /^\$iothub\/methods\/res\/(-?\d{1,9})\/\?(.*)$/;

/** Null for a topic that a hub does not have. */
export function deviceTopic(topic: string, device: string): DeviceTopic | null {
  const [, get] = GET.exec(topic) ?? [];
  const rid = get === undefined ? null : valueIn(get, '$rid');
  if (rid !== null) return { kind: 'get', rid };
  const [, report] = REPORT.exec(topic) ?? [];
  if (report !== undefined) return { kind: 'report', rid: valueIn(report, '$rid'), plainRid: valueIn(report, 'rid') };
  const [, status, method] = METHOD.exec(topic) ?? [];
  const answered = method === undefined ? null : valueIn(method, '$rid');
  if (answered !== null) return { kind: 'method', rid: answered, status: Number(status) };
  return topic.startsWith(`devices/${device}/messages/events/`) ? { kind: 'telemetry' } : null;
}

/** As it was written: answers carry the same text. */
function valueIn(query: string, name: string): string | null {
  const found = query.split('&').find((pair) => pair.startsWith(`${name}=`));
  return found?.slice(name.length + 1) ?? null;
}

export const FILTERS = {
  answers: '$iothub/twin/res/#',
  desired: '$iothub/twin/PATCH/properties/desired/#',
  methods: '$iothub/methods/POST/#',
} as const;

/** The documented filters, and no others. */
export function isFilter(filter: string, device: string): boolean {
  return Object.values<string>(FILTERS).includes(filter) || filter === `devices/${device}/messages/devicebound/#`;
}

/** A request has one answer: `$iothub/twin/res/204/?$rid=7&$version=3`. */
export function answerTopic(status: number, rid: string, version?: number): string {
  return `$iothub/twin/res/${status}/?$rid=${rid}${version === undefined ? '' : `&$version=${version}`}`;
}

export function desiredTopic(version: number): string {
  return `$iothub/twin/PATCH/properties/desired/?$version=${version}`;
}

export function methodTopic(name: string, rid: string): string {
  return `$iothub/methods/POST/${encodeURIComponent(name)}/?$rid=${rid}`;
}

/** Who connects, by the user name: `{hub}/{device}/?api-version=…`, or as older firmware writes it, without `?`. Null for what is none. */
export function userName(text: string): { readonly host: string; readonly device: string } | null {
  const [host = '', device = '', rest, ...more] = text.split('/');
  if (host === '' || device === '' || more.length > 0) return null;
  if (rest !== undefined && !/^\??([^?]*&)?api-version=[^?&]+(&[^?]*)?$/.test(rest)) return null;
  return { host, device };
}
