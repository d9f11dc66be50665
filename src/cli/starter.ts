/** The files of a new fleet repo: about fifty lines that are valid as they stand, by path. */
export function starterFiles(name: string): Readonly<Record<string, string>> {
  return {
    'fleet.yaml': fleetYaml(name),
    'devices/loggers.yaml': DEVICES_YAML,
    'devices/loggers.csv': DEVICES_CSV,
    'groups/loggers.yaml': GROUP_YAML,
    'rollouts/careful.yaml': ROLLOUT_YAML,
    'windows/working-hours.yaml': WINDOW_YAML,
    'files/programs/first-station_v1.CR1X': PROGRAM,
    '.gitattributes': 'files/programs/* -text\n',
    '.gitignore': '.headgate/\n',
  };
}

function fleetYaml(name: string): string {
  return `# Where devices are reached, and where the record of what was done is kept.
kind: Fleet
format: 1
name: ${name}
branch: main
zone: Europe/London
ledger: { store: "sqlite:.headgate/ledger.db", id: ${name} }
connections:
  field: { type: mqtt, url: "mqtts://broker.example.org:8883", username: headgate, password: "\${env:MQTT_PASSWORD}" }
  depot: { type: s3, bucket: headgate-artifacts, region: eu-west-2 }
artifacts: { via: depot, urls: presigned }
`;
}

const DEVICES_YAML = `# The stations stay in a spreadsheet: save it as devices/loggers.csv.
kind: Devices
family: campbell
via: field
defaults: { model: CR1000X, zone: Europe/London }
from: devices/loggers.csv
columns: { id: Station, serial: Serial, address: UID, labels.ring: Ring, values.program: Program }
ignore: [Notes]
`;

const DEVICES_CSV = `Station,Serial,UID,Ring,Program,Notes
first-station,10001,cr1000x/10001,canary,first-station_v1.CR1X,replace this row with your own
`;

const GROUP_YAML = `# Who runs what. A firmware is pinned the same way, once artifacts/ says which versions there are.
kind: Group
name: loggers
select: { family: campbell }
pins:
  program: { file: "files/programs/\${value:program}" }
rollout: careful
silence: 6h                      # a report older than this is old
health: { battery: ">= 11.8" }   # after a change
before: { battery: ">= 12.0" }   # or it is held
`;

const ROLLOUT_YAML = `# How a change reaches them: one station first, a day of patience, then the rest.
kind: Rollout
name: careful
waves:
  - { name: canary, select: { labels: { ring: canary } }, gate: { success: 100%, soak: 24h } }
  - { name: rest }
gate: { quorum: 80%, patience: 14d, then: ask, minimum: 1 }
budget: [ { max: 10% } ]
windows: [working-hours]
`;

const WINDOW_YAML = `# When a change may begin.
kind: Window
name: working-hours
zone: device
allow: [ { days: mon-fri, from: "08:00", to: "16:00" } ]
margin: 30m
`;

const PROGRAM = `'The first station: battery and panel temperature every minute
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
