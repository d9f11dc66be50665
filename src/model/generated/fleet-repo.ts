// Generated from schemas/*.json by `npm run gen`. Do not edit.

export type FleetRepoDocument =
  | FleetDocument
  | DevicesDocument
  | ArtifactDocument
  | GroupDocument
  | SetDocument
  | RolloutDocument
  | WindowDocument
  | OverrideDocument
  | ApprovalDocument;
/**
 * Letters, digits, dot, dash and underscore; begins with a letter or digit.
 */
export type Name = string;
/**
 * An IANA time zone.
 */
export type Zone = string;
/**
 * true or false.
 */
export type Flag = string;
export type Connection = MqttConnection | S3Connection | AwsConnection | AzureConnection | MdashConnection;
/**
 * Any text.
 */
export type Text = string;
/**
 * A file of this repository, from its root, with forward slashes. References such as ${id} may stand in it where the page of the kind says so.
 */
export type Path = string;
/**
 * From 0% to 100%, with the sign.
 */
export type Percent = string;
/**
 * A whole number, zero or more.
 */
export type Count = string;
/**
 * A count with a unit: ms, s, m, h, d, w. Units may be joined: 1h30m.
 */
export type Duration = string;
/**
 * The connection that reaches the device, or `{ from: A, to: B }` while it moves.
 */
export type Via =
  | Name
  | {
      from: Name;
      to: Name;
    };
/**
 * Read by Headgate and never sent. Which ones there are is said on the page of the family.
 */
export type Options = Readonly<Record<string, unknown>>;
/**
 * A day, year first.
 */
export type Day = string;
/**
 * 64 hexadecimal digits, as `sha256sum` prints them.
 */
export type Sha256 = string;
/**
 * Plain words for the people who read this later.
 */
export type Sentence = string;
/**
 * Which devices. All members must hold. `all` is every device.
 */
export type Selector = 'all' | SelectorMembers;
export type OneOrMore = Text | Text[];
export type Pin = PinRef | (PinRef | PinLeave)[] | PinBody;
/**
 * ARTIFACT@VERSION.
 */
export type PinRef = string;
/**
 * A JSON file. Objects merge, arrays are replaced, null removes, later layers win.
 */
export type Layer =
  | Path
  | {
      file: Path;
      optional?: Flag;
    };
/**
 * Settings that are sent to the device and read back. References such as ${value:tip} may stand in them.
 */
export type Settings = Readonly<Record<string, unknown>>;
export type Drift = 'hold' | 'correct' | 'adopt';
/**
 * Names of windows, or `any`.
 */
export type Windows = Name | Name[];
export type Days = string;
/**
 * Hours and minutes, 00:00 to 24:00, in quotes.
 */
export type Clock = string;
/**
 * A day (2027-03-31), a local time in the fleet's zone (2027-03-31T18:00), or a time with its offset (2027-03-31T18:00Z).
 */
export type Moment = string;

/**
 * Connections, ledger, trust and limits of the fleet. One per repo, in fleet.yaml.
 */
export interface FleetDocument {
  kind: 'Fleet';
  /**
   * Version of the format of this repo.
   */
  format: '1';
  name: Name;
  /**
   * The branch that is applied (main).
   */
  branch?: string;
  zone?: Zone;
  /**
   * Where the record of what was done is kept.
   */
  ledger: {
    /**
     * git, sqlite:PATH, s3:CONNECTION/PREFIX or postgres:URL.
     */
    store: string;
    id: Name;
    lasting?: Flag;
  };
  /**
   * Brokers, buckets and cloud accounts, by name.
   */
  connections: {
    [k: string]: Connection;
  };
  artifacts?: {
    via?: Name;
    /**
     * presigned: from the bucket. serve: from Headgate at publicUrl. direct: the URL as declared (presigned).
     */
    urls?: 'presigned' | 'serve' | 'direct';
    publicUrl?: string;
  };
  trust?: {
    commits: {
      require: 'signed' | 'none';
      /**
       * Files with the keys that may sign.
       */
      accept?: Path[];
    };
  };
  secrets?: {
    recipients?: Path;
    identity?: Text;
    render?: Text;
  };
  limits?: {
    change?: Percent;
    leave?: Count;
    personal?: Count;
    operationsPerMinute?: Count;
    maxAttempts?: Count;
    passLimit?: Duration;
    observeDeadline?: Duration;
  };
  daemon?: {
    /**
     * A cron line of five fields.
     */
    schedule?: string;
    webhook?: Text;
  };
}
export interface MqttConnection {
  type: 'mqtt';
  url: string;
  username?: Text;
  password?: Text;
  clientId?: Text;
  ca?: Path;
  cert?: Path;
  key?: Text;
  presence?: string;
  rpcPassword?: Text;
  withdraw?: string;
}
export interface S3Connection {
  type: 's3';
  bucket: string;
  region: string;
  /**
   * For S3-compatible stores.
   */
  endpoint?: string;
  prefix?: Text;
  accessKeyId?: Text;
  secretAccessKey?: Text;
}
export interface AwsConnection {
  type: 'aws-iot';
  region: string;
  /**
   * The data endpoint, https://…-ats.iot.REGION.amazonaws.com; AWS is asked for it when left out.
   */
  endpoint?: string;
  /**
   * How fleet indexing is used to look at devices: every thing, or only those that are not as declared.
   */
  index?: 'off' | 'all' | 'mismatches';
  /**
   * Narrows what is looked at in the index, in its query language.
   */
  indexQuery?: string;
}
export interface AzureConnection {
  type: 'azure-iot';
  /**
   * NAME.azure-devices.net
   */
  host: string;
  /**
   * One with the permission ServiceConnect.
   */
  policy: string;
  key: Text;
  /**
   * How queries are used to look at devices: every twin, or only those that are not as declared.
   */
  index?: 'off' | 'all' | 'mismatches';
  /**
   * Narrows what is looked at by queries: what stands after WHERE.
   */
  indexQuery?: string;
}
export interface MdashConnection {
  type: 'mdash';
  /**
   * Without the /api/v2 that follows it.
   */
  url: string;
  key: Text;
}
/**
 * Devices of one family: written here, or read from a CSV file. The id is the place, the serial the hardware.
 */
export interface DevicesDocument {
  kind: 'Devices';
  family: string;
  via?: Via;
  options?: Options;
  /**
   * What every device here has unless it says otherwise.
   */
  defaults?: {
    model?: Text;
    site?: Text;
    zone?: Zone;
    via?: Via;
    labels?: Texts;
    values?: Texts;
    options?: Options;
  };
  /**
   * Id → device.
   */
  devices?: {
    [k: string]: Device;
  };
  from?: Path;
  /**
   * Field → column of the CSV file. Without it the columns are named as the fields.
   */
  columns?: {
    id: Text;
    model?: Text;
    serial?: Text;
    address?: Text;
    site?: Text;
    zone?: Text;
    via?: Text;
    retired?: Text;
    [k: string]: Text | undefined;
  };
  ignore?: Text[];
}
export interface Texts {
  [k: string]: Text;
}
export interface Device {
  model?: Text;
  serial?: Text;
  address?: Text;
  site?: Text;
  zone?: Zone;
  via?: Via;
  labels?: Texts;
  values?: Texts;
  options?: Options;
  retired?: Day;
}
/**
 * Versions of one item that groups may pin, fixed by SHA-256, for given hardware.
 */
export interface ArtifactDocument {
  kind: 'Artifact';
  name: Name;
  item: string;
  fits: {
    family: string;
    /**
     * All models of the family without it.
     */
    models?: Text[];
  };
  versions: {
    [k: string]: Version;
  };
}
export interface Version {
  /**
   * A path of the repo, an https: URL, CONNECTION:KEY, or oci:IMAGE.
   */
  from?: string;
  sha256?: Sha256;
  /**
   * In bytes.
   */
  size?: string;
  reportsAs?: Text;
  /**
   * trust: PEM or DER files.
   */
  certs?: Path[];
  cert?: Path;
  key?: Text;
  /**
   * identity: any certificate that the device was issued by its own provisioning at or after this instant.
   */
  issuedAfter?: string;
  needs?: {
    /**
     * Comparisons that must all hold.
     */
    firmware?: string;
  };
  neverBelow?: Text;
  withdrawn?: Sentence;
}
/**
 * Who runs what. Each device belongs to exactly one group.
 */
export interface GroupDocument {
  kind: 'Group';
  name: Name;
  select: Selector;
  set?: Name;
  pins?: Pins;
  settings?: Settings;
  values?: Texts;
  options?: Options;
  via?: Via;
  rollout: Name;
  silence?: Duration;
  health?: Conditions;
  before?: Conditions;
  watch?: Duration;
  /**
   * What happens to a change made at the device.
   */
  drift?: {
    firmware?: Drift;
    program?: Drift;
    config?: Drift;
    settings?: Drift;
    files?: Drift;
    trust?: Drift;
    identity?: Drift;
  };
  /**
   * Starts when that group has completed the same change and kept it so long.
   */
  after?: {
    group: Name;
    for?: Duration;
  };
}
export interface SelectorMembers {
  family?: Text;
  model?: OneOrMore;
  ids?: OneOrMore;
  /**
   * A label with its value, or a list of values of which one must be there.
   */
  labels?: {
    [k: string]: OneOrMore;
  };
  groups?: OneOrMore;
  not?: SelectorMembers;
}
/**
 * Item → version. An item that is not here is left alone.
 */
export interface Pins {
  firmware?: Pin;
  program?: Pin;
  config?: Pin;
  files?: Pin;
  trust?: Pin;
  identity?: Pin;
  [k: string]: Pin | undefined;
}
export interface PinLeave {
  /**
   * Models whose item is left as it is.
   */
  leave: Text[];
}
/**
 * `file`: a file of the repo. `layers`: JSON files merged into one. `use` and `keep`: certificates, and those that stay valid beside them.
 */
export interface PinBody {
  file?: Path;
  layers?: Layer[];
  use?: PinRef;
  keep?: PinRef[];
  exact?: Flag;
}
/**
 * Measure → what must hold: `>= 11.8`, `<= 3`, `= ok`, `no rise`.
 */
export interface Conditions {
  [k: string]: string;
}
/**
 * Pins shared by several groups.
 */
export interface SetDocument {
  kind: 'Set';
  name: Name;
  pins: Pins;
}
/**
 * How a change reaches a group: waves, gates, budget, windows.
 */
export interface RolloutDocument {
  kind: 'Rollout';
  name: Name;
  /**
   * In order. The remainder is always implied.
   */
  waves: Wave[];
  gate?: Gate;
  /**
   * Devices that may be down or changing at once. All rules hold.
   */
  budget?: {
    /**
     * A count of 1 or more, or a percentage.
     */
    max: string;
    /**
     * site, model or label:NAME. The whole group without it.
     */
    by?: string;
  }[];
  windows?: Windows;
  /**
   * halt, or revert: halt and propose the revert commit (halt).
   */
  onFailure?: 'halt' | 'revert';
  /**
   * How the group goes back (at once, any window).
   */
  rollback?: {
    waves?: Wave[];
    windows?: Windows;
  };
  together?: Flag;
}
/**
 * Takes devices that earlier waves left: by select, count or share. With none of them, all the rest.
 */
export interface Wave {
  name: Name;
  select?: Selector;
  count?: Count;
  share?: Percent;
  gate?: Gate;
}
/**
 * What must hold before the next wave opens.
 */
export interface Gate {
  success?: Percent;
  minimum?: Count;
  quorum?: Percent;
  patience?: Duration;
  /**
   * ask: an Approval; go-on: without (ask).
   */
  then?: 'ask' | 'go-on';
  soak?: Duration;
  /**
   * Replaces the fixed share by a sequential test.
   */
  test?: {
    kind: 'sequential';
    good: Percent;
    bad: Percent;
    falseStop: Percent;
    miss: Percent;
  };
}
/**
 * When changes may begin.
 */
export interface WindowDocument {
  kind: 'Window';
  name: Name;
  zone?: Zone;
  /**
   * Always, without it.
   */
  allow?: {
    /**
     * mon-fri, mon,wed or a list. Every day without it.
     */
    days?: Days | Days[];
    from?: Clock;
    to?: Clock;
  }[];
  /**
   * Items: Whole days, both included.
   */
  deny?: {
    first: Day;
    last: Day;
    why?: Text;
  }[];
  margin?: Duration;
}
/**
 * An exception for some devices, with an end.
 */
export interface OverrideDocument {
  kind: 'Override';
  name: Name;
  select: Selector;
  freeze?: Flag;
  pins?: Pins;
  settings?: Settings;
  values?: Texts;
  rollout?: Name;
  reason: Sentence;
  starts?: Moment;
  reviewBy?: Moment;
  until?: Moment;
}
/**
 * The answer of a person to a rollout or merge that waits. Inert for any other release or merge.
 */
export interface ApprovalDocument {
  kind: 'Approval';
  group?: Name;
  /**
   * The first seven or more digits of its id.
   */
  release?: string;
  wave?: Name;
  unblock?: Flag;
  /**
   * These may try the release once more.
   */
  again?: Name[];
  /**
   * Digest of the tree that is approved as a whole.
   */
  merge?: string;
  change?: Count;
  leave?: Count;
  reason: Sentence;
}
