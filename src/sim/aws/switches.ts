import { readWrittenSwitches } from '#sim/switch-values.ts';

/** What nobody outside AWS knows for sure, each as a switch: docs/protocols/aws-iot.md §18.4 and §20, shadow-devices.md §11. */
export interface ShadowSwitches {
  /** Keys below desired or reported that may be nested. The error text says 6, quota pages 5 and 8. */
  readonly depthLimit: number;
  /** Bytes of desired and reported together, as compact JSON. AWS raises it to 30 KB on request. */
  readonly documentBytes: number;
  /** A new subtree that holds nothing but nulls: not made, or left as an empty object (M10). */
  readonly nullOnlySubtree: 'drop' | 'keepEmpty';
  /** `delta` beside desired and reported in a request (M13). */
  readonly deltaKeyInRequest: 'ignore' | 'reject';
  /** `version` in the first update of a shadow. */
  readonly versionOnMissingShadow: 'ignore' | 'mustBe1' | 'conflict';
  /** `previous` in the documents message of the first update. */
  readonly documentsPreviousOnCreate: 'empty' | 'null' | 'omit';
  /** The version after delete and create within 48 h: the old one plus so many. Later it is always 1. */
  readonly recreateVersion: 1 | 2;
  /** How the text of a 404 names a named shadow. */
  readonly namedNotFoundText: 'thing~shadow' | 'shadow';
  /** Whether a 404 carries a timestamp: the guide shows one, a device saw none (§5.2). */
  readonly timestampInNotFound: boolean;
  /** `metadata.delta` in what get answers. */
  readonly metadataDeltaInGet: boolean;
  /** Whether an update of reported alone that leaves a difference sends it again (X8; shadow-devices.md §1, rule 4). */
  readonly deltaOnReportedOnly: boolean;
  /** Timestamp of a leaf that is named in an update without a change of value. */
  readonly timestampOfUnchanged: 'moves' | 'stays';
}

export const SHADOW_SWITCHES: ShadowSwitches = {
  depthLimit: 6,
  documentBytes: 8192,
  nullOnlySubtree: 'drop',
  deltaKeyInRequest: 'ignore',
  versionOnMissingShadow: 'ignore',
  documentsPreviousOnCreate: 'empty',
  recreateVersion: 2,
  namedNotFoundText: 'thing~shadow',
  timestampInNotFound: true,
  metadataDeltaInGet: false,
  deltaOnReportedOnly: true,
  timestampOfUnchanged: 'moves',
};

/** The same for what goes over the wires. */
export interface WireSwitches {
  /** Whether an update over HTTP is told on `update/accepted` and `update/documents` too, or by its delta alone. */
  readonly httpOriginAccepted: boolean;
  /** A client that publishes where only the service does: forgotten, or its connection ends. */
  readonly publishToOwned: 'ignore' | 'refuse';
  /** A direct message to a client that did not subscribe to its topic. */
  readonly directMessageToUnsubscribed: 'deliver' | 'drop';
  /** Limits of docs/protocols/aws-iot.md §3: payload, topic, filters, exact filters for retained messages. */
  readonly limits: boolean;
  /** How old the index is that SearchIndex looks at. */
  readonly indexLagMs: number;
  /** How long a persistent session outlives its connection; AWS raises it on request (§3). */
  readonly sessionMs: number;
  /** After how long a certificate that is no longer active loses the connections that stand. */
  readonly deactivationMs: number;
}

export const WIRE_SWITCHES: WireSwitches = {
  httpOriginAccepted: true,
  publishToOwned: 'ignore',
  directMessageToUnsubscribed: 'deliver',
  limits: true,
  indexLagMs: 0,
  sessionMs: 3_600_000,
  deactivationMs: 120_000,
};

type Switches = ShadowSwitches & WireSwitches;

/** What each switch may be: its values, or a number within bounds. */
export const SWITCH_VALUES: Readonly<Record<keyof Switches, readonly Switches[keyof Switches][] | readonly [least: number, most: number]>> =
  {
    depthLimit: [1, 100],
    documentBytes: [1, 30_720],
    nullOnlySubtree: ['drop', 'keepEmpty'],
    deltaKeyInRequest: ['ignore', 'reject'],
    versionOnMissingShadow: ['ignore', 'mustBe1', 'conflict'],
    documentsPreviousOnCreate: ['empty', 'null', 'omit'],
    recreateVersion: [1, 2],
    namedNotFoundText: ['thing~shadow', 'shadow'],
    timestampInNotFound: [true, false],
    metadataDeltaInGet: [false, true],
    deltaOnReportedOnly: [true, false],
    timestampOfUnchanged: ['moves', 'stays'],
    httpOriginAccepted: [true, false],
    publishToOwned: ['ignore', 'refuse'],
    directMessageToUnsubscribed: ['deliver', 'drop'],
    limits: [true, false],
    indexLagMs: [0, 3_600_000],
    sessionMs: [0, 604_800_000],
    deactivationMs: [0, 3_600_000],
  };

/** Reads switches as a person writes them: names and texts. Throws a RangeError that says what there is. */
export function readSwitches(written: Readonly<Record<string, string>>): Partial<Switches> {
  return readWrittenSwitches(SWITCH_VALUES, written);
}
