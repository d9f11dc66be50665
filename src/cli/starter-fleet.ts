import type { StarterFamily, StarterOptions } from './starter-options.ts';

type Files = Readonly<Record<string, string>>;

/** The declarations themselves: Fleet, Devices, one Group, one Rollout and one Window for each family. */
export function fleetFiles(options: StarterOptions): Files {
  return {
    'fleet.yaml': fleetYaml(options),
    ...(hasLoggers(options.family) ? loggerFiles(options.trial) : {}),
    ...(hasVehicles(options.family) ? VEHICLE_FILES : {}),
  };
}

export function hasLoggers(family: StarterFamily): boolean {
  return family !== 'canedge';
}

export function hasVehicles(family: StarterFamily): boolean {
  return family !== 'campbell';
}

function fleetYaml(options: StarterOptions): string {
  const { family, name } = options;
  return [
    '# Where devices are reached, and where the record of what was done is kept.',
    'kind: Fleet',
    'format: 1',
    `name: ${name}`,
    'branch: main',
    'zone: Europe/London',
    `ledger: { store: git, id: ${name} }   # the branch headgate/ledger of this repository`,
    'connections:',
    ...(hasLoggers(family) ? [`  field: ${brokerText(options)}`, `  depot: ${bucketText(options, 'headgate-artifacts')}`] : []),
    ...(hasVehicles(family) ? [`  logs: ${bucketText(options, 'vehicle-logs')}`] : []),
    ...(hasLoggers(family) ? ['artifacts: { via: depot, urls: presigned }   # loggers download from there'] : []),
    '',
  ].join('\n');
}

function brokerText({ trial }: StarterOptions): string {
  if (trial) return '{ type: mqtt, url: "mqtt://127.0.0.1:1883" }';
  return '{ type: mqtt, url: "mqtts://broker.example.org:8883", username: headgate, password: "${env:MQTT_PASSWORD}" }';
}

function bucketText({ trial, endpoint }: StarterOptions, bucket: string): string {
  const keys = 'accessKeyId: "${env:S3_ACCESS_KEY_ID}", secretAccessKey: "${env:S3_SECRET_ACCESS_KEY}"';
  if (endpoint === null) return `{ type: s3, bucket: ${bucket}, region: eu-west-2 }`;
  return `{ type: s3, bucket: ${trial ? 'headgate' : bucket}, region: us-east-1, endpoint: ${JSON.stringify(endpoint)}, ${keys} }`;
}

function loggerFiles(trial: boolean): Files {
  return {
    'devices/loggers.yaml': LOGGERS_YAML,
    'devices/loggers.csv': `Station,Serial,UID,Ring,Notes\n${trial ? TRIAL_ROWS : FIRST_ROW}`,
    'groups/loggers.yaml': trial ? TRIAL_GROUP : LOGGERS_GROUP,
    'rollouts/careful.yaml': trial ? TRIAL_ROLLOUT : CAREFUL,
    'windows/working-hours.yaml': WORKING_HOURS,
    'files/programs/station_v1.CR1X': PROGRAM,
  };
}

const LOGGERS_YAML = `# The stations stay in a spreadsheet: save it as devices/loggers.csv.
kind: Devices
family: campbell
via: field
defaults: { model: CR1000X, zone: Europe/London }
from: devices/loggers.csv
columns: { id: Station, serial: Serial, address: UID, labels.ring: Ring }
ignore: [Notes]
`;

const FIRST_ROW = 'first-station,10001,cr1000x/10001,canary,replace this row with your own\n';
const TRIAL_ROWS = `moor-house,10001,cr1000x/10001,canary,
trout-beck,10002,cr1000x/10002,,
cow-green,10003,cr1000x/10003,,
`;

const LOGGERS_GROUP = `# Who runs what. A firmware is pinned the same way, once artifacts/ says which versions there are.
kind: Group
name: loggers
select: { family: campbell }
pins:
  program: { file: files/programs/station_v1.CR1X }
rollout: careful
silence: 6h                      # a report older than this is old
health: { battery: ">= 11.8" }   # after a change
before: { battery: ">= 12.0" }   # or it is held
`;

const TRIAL_GROUP = `# Who runs what.
kind: Group
name: loggers
select: { family: campbell }
pins:
  program: { file: files/programs/station_v1.CR1X }
rollout: careful
silence: 6h                      # a report older than this is old
health: { battery: ">= 11.8" }   # after a change
`;

const CAREFUL = `# How a change reaches them: one station first, a day of patience, then the rest.
kind: Rollout
name: careful
waves:
  - { name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: 24h } }
  - { name: rest }
gate: { quorum: 80%, patience: 14d, then: ask, minimum: 1 }
budget: [ { max: 10% } ]
windows: [working-hours]
`;

const TRIAL_ROLLOUT = `# How a change reaches them: one station first, then the rest. In the field the soak is a day, and the window working-hours.
kind: Rollout
name: careful
waves:
  - { name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: 20s } }
  - { name: rest }
windows: any
`;

const WORKING_HOURS = `# When a change may begin.
kind: Window
name: working-hours
zone: device
allow: [ { days: mon-fri, from: "08:00", to: "16:00" } ]
margin: 30m
`;

const PROGRAM = `'Battery and panel temperature every minute
Public BattV, PTemp

DataTable (Minute,True,-1)
  DataInterval (0,1,Min,10)
  Minimum (1,BattV,FP2,False,False)
  Sample (1,PTemp,FP2)
EndTable

BeginProg
  Scan (10,Sec,0,0)
    Battery (BattV)
    PanelTemp (PTemp,60)
    CallTable Minute
  NextScan
EndProg
`;

const VEHICLE_FILES: Files = {
  'devices/vehicles.yaml': `# The serial is the number on the box, and the name of its folder in the bucket.
kind: Devices
family: canedge
via: logs
defaults: { model: CANedge2, zone: Europe/London }
devices:
  first-van: { serial: 2B6F11C0, labels: { ring: canary } }   # replace it with your own
`,
  'groups/vehicles.yaml': `# Who runs what. Nothing is pinned yet, so nothing is changed. Begin with what a device runs today: copy config-01.09.json
# from its folder of the bucket to files/can/base-01.09.json, take the secrets out, and pin it:
#   pins: { config: { layers: [files/can/base-01.09.json, "files/can/\${id}.json"] } }
kind: Group
name: vehicles
select: { family: canedge }
rollout: patient
silence: 3d                      # vehicles stand still over a weekend
`,
  'rollouts/patient.yaml': `# Vehicles take an offer when they are next switched on: no hurry, one of them first.
kind: Rollout
name: patient
waves:
  - { name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: 24h } }
  - { name: rest }
gate: { quorum: 60%, patience: 21d, then: ask, minimum: 1 }
windows: [daytime]
`,
  'windows/daytime.yaml': `# When an offer may be laid into the bucket. When it is taken is the vehicle's affair.
kind: Window
name: daytime
zone: device
allow: [ { days: mon-fri, from: "07:00", to: "18:00" } ]
`,
};
