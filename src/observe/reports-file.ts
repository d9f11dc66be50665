import { canonicalJson } from '#kit/canonical.ts';
import { compareText } from '#kit/diagnostics.ts';
import { err, ok } from '#kit/result.ts';
import type { Result } from '#kit/result.ts';
import type { ReportedDevice } from '#model/reported.ts';

const FORMAT = 'headgate-reports-1';
/** A report is a few kB; a line far above that is not one of ours. */
const MAX_LINE_CHARACTERS = 1_000_000;

/** `observe --out`: a header line, then one report a line, sorted by device: a plan made from it can be repeated. */
export function reportsText(reports: Iterable<ReportedDevice>): string {
  const lines = [...reports].toSorted((a, b) => compareText(a.device, b.device)).map((report) => canonicalJson(report));
  return `${[canonicalJson({ format: FORMAT }), ...lines].join('\n')}\n`;
}

/** Reads what reportsText wrote. The error names the line that is not a report. */
export function parseReports(text: string): Result<readonly ReportedDevice[], { readonly line: number; readonly message: string }> {
  const lines = text.split('\n');
  const header = parseLine(lines[0] ?? '');
  if (!isObject(header) || header['format'] !== FORMAT) return err({ line: 1, message: `the first line is not {"format":"${FORMAT}"}` });
  const reports: ReportedDevice[] = [];
  for (const [index, line] of lines.entries()) {
    if (index === 0 || line === '') continue;
    const value = line.length > MAX_LINE_CHARACTERS ? undefined : parseLine(line);
    if (!isReport(value)) return err({ line: index + 1, message: 'not a report of one device' });
    reports.push(value);
  }
  return ok(reports);
}

function parseLine(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function textOrNull(value: unknown): boolean {
  return value === null || typeof value === 'string';
}

function numberOrNull(value: unknown): boolean {
  return value === null || typeof value === 'number';
}

/** Whether a value has the shape of a report, checked to the depth at which the stages read it. */
function isReport(value: unknown): value is ReportedDevice {
  if (!isObject(value) || typeof value['device'] !== 'string') return false;
  const { serial, model, heardAt, gapMs, silentMs = null, online, problem, items, measures, signs, memo } = value;
  if (!textOrNull(serial) || !textOrNull(model) || !numberOrNull(heardAt) || !numberOrNull(gapMs) || !numberOrNull(silentMs)) return false;
  if (online !== null && typeof online !== 'boolean') return false;
  if (problem !== null && !(isObject(problem) && typeof problem['reason'] === 'string' && typeof problem['detail'] === 'string'))
    return false;
  if (!isObject(items) || !isObject(measures) || !isObject(memo) || !Array.isArray(signs)) return false;
  return Object.values(items).every(isItem) && Object.values(measures).every(isReading) && signs.every(isSign);
}

function isItem(value: unknown): boolean {
  if (!isObject(value) || typeof value['source'] !== 'string') return false;
  if (value['kind'] === 'unknown') return typeof value['detail'] === 'string' && typeof value['why'] === 'string';
  return value['kind'] === 'value' && typeof value['value'] === 'string' && numberOrNull(value['madeNotBefore']);
}

function isReading(value: unknown): boolean {
  return isObject(value) && typeof value['value'] === 'string' && numberOrNull(value['madeNotBefore']);
}

function isSign(value: unknown): boolean {
  return isObject(value) && typeof value['code'] === 'string' && textOrNull(value['item']) && numberOrNull(value['at']);
}
