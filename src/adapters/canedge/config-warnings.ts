import type { Json } from '#kit/canonical.ts';
import { at, listAt, numberAt, objectOf, textAt } from './json.ts';
import { modelByName } from './models.ts';

/**
 * What a device takes and what costs it its link or its data all the same (docs/protocols/canedge-s3.md §4.2, the
 * warnings). What locks it out is a guard (guards.ts) and is not repeated here.
 */
export function configWarnings(document: Json, model: string): readonly string[] {
  return [
    ...portWarnings(document),
    ...endpointWarnings(document),
    ...clockWarnings(document),
    ...filterWarnings(document),
    ...gnssWarnings(document, modelByName(model)?.gnss === true),
  ];
}

const SERVER = ['connect', 's3', 'server'] as const;

function portWarnings(document: Json): readonly string[] {
  const endpoint = textAt(document, ...SERVER, 'endpoint') ?? '';
  const port = numberAt(document, ...SERVER, 'port');
  if (endpoint.startsWith('https://') && port === 80) return ['connect.s3.server: an https endpoint with port 80'];
  if (endpoint.startsWith('http://') && port === 443) return ['connect.s3.server: an http endpoint with port 443'];
  return [];
}

/** The form that the device signs its requests for. */
function endpointWarnings(document: Json): readonly string[] {
  const endpoint = textAt(document, ...SERVER, 'endpoint') ?? '';
  const region = textAt(document, ...SERVER, 'region') ?? '';
  if (!/\.amazonaws\.com/.test(endpoint) || /^https?:\/\/s3\.[a-z0-9-]+\.amazonaws\.com$/.test(endpoint)) {
    const named = /^https?:\/\/s3\.([a-z0-9-]+)\.amazonaws\.com$/.exec(endpoint)?.[1];
    return named === undefined || named === region ? [] : [`connect.s3.server: the endpoint is in ${named}, region says otherwise`];
  }
  return ['connect.s3.server.endpoint: an AWS endpoint is written https://s3.REGION.amazonaws.com'];
}

/** S3 refuses signatures of a wrong clock. */
const MOST_ADJUSTMENT_SECONDS = 400;

function clockWarnings(document: Json): readonly string[] {
  const adjustment = numberAt(document, 'rtc', 'adjustment') ?? 0;
  if (Math.abs(adjustment) <= MOST_ADJUSTMENT_SECONDS) return [];
  return [`rtc.adjustment is ${adjustment} s: S3 refuses what is signed with a clock that far off`];
}

function filterWarnings(document: Json): readonly string[] {
  return ['can_1', 'can_2'].flatMap((channel) => {
    const section = objectOf(at(document, channel));
    const filters = listAt(section, 'filter', 'id');
    if (!Array.isArray(at(section, 'filter', 'id')) || filters.some((filter) => numberAt(filter, 'state') !== 0)) return [];
    return [`${channel}.filter: no filter is enabled, so nothing of that bus is logged`];
  });
}

/** Positions are left out until the device has found out how it is mounted. */
const ESTIMATE = 1;

function gnssWarnings(document: Json, gnss: boolean): readonly string[] {
  if (!gnss || numberAt(document, 'gnss', 'alignment', 'method') !== ESTIMATE) return [];
  return ['gnss.alignment.method is "estimate": the device logs no position meanwhile'];
}
