import type { Json } from '#kit/canonical.ts';
import { err, ok, type Result } from '#kit/result.ts';
import { SECRET_TEXT, type Secret } from '#kit/secret.ts';
import type { DeviceFacts, FamilyProblem, PinnedItem } from '#ports/family.ts';
import { readOptions } from './facts.ts';
import { migrateConfig } from './migrate.ts';
import { parseSeries, seriesOf } from './versions.ts';
import { seriesInName } from './wire.ts';

/** A pinned config as the firmware that will read it wants it. */
export interface SeriesConfig {
  /** `01.09`. */
  readonly series: string;
  readonly pin: PinnedItem;
  /** The series that the pinned file is written in, null when it is the very same; and what a migration could not carry over. */
  readonly migratedFrom: string | null;
  readonly notes: readonly string[];
}

/**
 * For which series a config is rendered: that of the firmware declared beside it, else of the device's options, else of the
 * file's own name. A file whose name says an earlier series is migrated step by step (docs/protocols/canedge-s3.md §4.3),
 * so that one config serves groups with different firmware; `migrate: false` and a later series are errors.
 */
export function inSeries(device: DeviceFacts, pin: PinnedItem): Result<SeriesConfig, FamilyProblem> {
  const options = readOptions(device.options);
  const name = pin.content?.name ?? pin.artifact?.name ?? '';
  const written = seriesInName(name) ?? null;
  const ofFirmware = pin.firmware === null ? null : seriesOf(pin.firmware);
  const series = ofFirmware ?? (options.series === null ? undefined : parseSeries(options.series)) ?? written;
  if (series === null) {
    return err({
      code: 'CONFIG_SERIES_UNKNOWN',
      summary: `nothing says for which config series device ${device.id} is to be configured`,
      fix: 'pin a firmware beside the config, name the file …-01.09.json, or set options.series',
    });
  }
  if (written === null || written === series) return ok({ series, pin, migratedFrom: null, notes: [] });
  if (!options.migrate) {
    return err({
      code: 'CONFIG_OTHER_SERIES',
      summary: `${name} is of series ${written}, device ${device.id} is to read ${series}, and its options forbid to migrate it`,
      fix: `name a file of series ${series}, such as …-\${series}.json`,
    });
  }
  return migrated(device, pin, { from: written, to: series });
}

function migrated(
  device: DeviceFacts,
  pin: PinnedItem,
  series: { readonly from: string; readonly to: string },
): Result<SeriesConfig, FamilyProblem> {
  const secrets = pin.secrets ?? new Map<string, Secret>();
  const marked = withMarks(pin.document, secrets);
  const answer = migrateConfig(marked, { ...series, model: device.model });
  if (!answer.ok) {
    return err({
      code: answer.error.code,
      summary: `config of device ${device.id}: ${answer.error.message}`,
      fix: `pin a config of series ${series.to}`,
    });
  }
  const { document, moved } = withoutMarks(answer.value.document, secrets);
  const next: PinnedItem = secrets.size === 0 ? { ...pin, document } : { ...pin, document, secrets: moved };
  return ok({ series: series.to, pin: next, migratedFrom: series.from, notes: answer.value.notes });
}

const MARK = `${SECRET_TEXT} `;

/** Each secret's place is told by a text that says where it stood, because a migration may move it or leave it out. */
function withMarks(document: Json, secrets: ReadonlyMap<string, Secret>): Json {
  return secrets.size === 0 ? document : mapTexts(document, '', (text, pointer) => (secrets.has(pointer) ? `${MARK}${pointer}` : text));
}

function withoutMarks(
  document: Json,
  secrets: ReadonlyMap<string, Secret>,
): { readonly document: Json; readonly moved: ReadonlyMap<string, Secret> } {
  const moved = new Map<string, Secret>();
  if (secrets.size === 0) return { document, moved };
  const bare = mapTexts(document, '', (text, pointer) => {
    const secret = text.startsWith(MARK) ? secrets.get(text.slice(MARK.length)) : undefined;
    if (secret === undefined) return text;
    moved.set(pointer, secret);
    return SECRET_TEXT;
  });
  return { document: bare, moved };
}

function mapTexts(value: Json, pointer: string, change: (text: string, pointer: string) => string): Json {
  if (typeof value === 'string') return change(value, pointer);
  if (Array.isArray(value)) return (value as readonly Json[]).map((member, index) => mapTexts(member, `${pointer}/${index}`, change));
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value as Record<string, Json>);
  return Object.fromEntries(members.map(([name, member]) => [name, mapTexts(member, `${pointer}/${token(name)}`, change)]));
}

/** A name as it stands in a JSON pointer (RFC 6901). */
function token(name: string): string {
  return name.replaceAll('~', '~0').replaceAll('/', '~1');
}
