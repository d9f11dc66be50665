import { MINUTE_MS, SECOND_MS } from '#kit/duration.ts';
import type { ConnectionDeclaration, FleetDeclaration, LedgerDeclaration, Limits } from '#model/declared.ts';
import { isZone } from '#model/calendar.ts';
import type {
  AwsConnection,
  AzureConnection,
  Connection,
  FleetDocument,
  MqttConnection,
  S3Connection,
} from '#model/generated/fleet-repo.ts';
import { findFile } from './files.ts';
import { at, keyAt, type Path, type SourceDocument } from './nodes.ts';
import { parseTemplate } from './references.ts';
import { reportUnknown, type Scope } from './scope.ts';
import { count, duration, flag, share } from './units.ts';

type FleetSource = SourceDocument<FleetDocument>;

/** The one Fleet of the repo; null when there is none that could be read. */
export function declareFleet(scope: Scope): FleetDeclaration | null {
  const [document, ...others] = scope.documents.Fleet;
  if (document === undefined) {
    if (!scope.broken.has('Fleet')) {
      scope.report.error(
        'FLEET_MISSING',
        { file: 'fleet.yaml', line: 1, column: 1 },
        {
          summary: 'the repo declares no Fleet',
          fix: 'write fleet.yaml with `kind: Fleet`; `headgate init` makes one',
        },
      );
    }
    return null;
  }
  for (const other of others) {
    scope.report.error('DUPLICATE_FLEET', at(other, 'kind'), {
      summary: 'a repo has one Fleet',
      fix: 'join the two',
      also: [at(document, 'kind')],
    });
  }
  return compile(document, scope);
}

function compile(document: FleetSource, scope: Scope): FleetDeclaration {
  const { data } = document;
  const zone = data.zone ?? 'UTC';
  if (!isZone(zone)) reportZone(scope, document, zone);
  checkFiles(document, scope);
  const connections = new Map(
    Object.entries(data.connections).map(([name, connection]) => [name, connectionOf(name, { connection, document, scope })]),
  );
  checkArtifacts(document, scope);
  return {
    name: data.name,
    place: at(document, 'name'),
    branch: data.branch ?? 'main',
    zone: isZone(zone) ? zone : 'UTC',
    ledger: ledgerOf(document, scope),
    connections,
    artifacts: {
      via: data.artifacts?.via ?? null,
      urls: data.artifacts?.urls ?? 'presigned',
      publicUrl: data.artifacts?.publicUrl ?? null,
    },
    commitsMustBeSigned: data.trust?.commits.require === 'signed',
    limits: limitsOf(data.limits ?? {}),
    ...(data.daemon === undefined ? {} : { daemon: { schedule: data.daemon.schedule ?? null, webhook: data.daemon.webhook ?? null } }),
  };
}

function reportZone(scope: Scope, document: FleetSource, zone: string): void {
  scope.report.error('BAD_ZONE', at(document, 'zone'), {
    summary: `\`${zone}\` is no time zone`,
    fix: 'write an IANA zone, for example `Europe/London`',
  });
}

function limitsOf(limits: NonNullable<FleetDocument['limits']>): Limits {
  return {
    change: share(limits.change, 1),
    leave: count(limits.leave, 1_000_000),
    personal: count(limits.personal, 5),
    operationsPerMinute: count(limits.operationsPerMinute, 120),
    maxAttempts: count(limits.maxAttempts, 5),
    passLimitMs: duration(limits.passLimit, 5 * MINUTE_MS),
    observeDeadlineMs: duration(limits.observeDeadline, 60 * SECOND_MS),
  };
}

interface ConnectionContext<T = Connection> {
  readonly connection: T;
  readonly document: FleetSource;
  readonly scope: Scope;
}

function connectionOf(name: string, context: ConnectionContext): ConnectionDeclaration {
  const { connection, document, scope } = context;
  const place = keyAt(document, 'connections', name);
  switch (connection.type) {
    case 'mqtt':
      return { name, place, type: 'mqtt', ...mqttOf(name, { connection, document, scope }) };
    case 's3':
      return { name, place, type: 's3', ...s3Of(connection) };
    case 'aws-iot':
      return { name, place, type: 'aws-iot', ...awsOf(connection) };
    case 'azure-iot':
      return { name, place, type: 'azure-iot', ...azureOf(connection) };
    case 'mdash':
      return { name, place, type: 'mdash', url: connection.url, key: connection.key };
  }
}

function mqttOf(name: string, context: ConnectionContext<MqttConnection>) {
  const { connection, document, scope } = context;
  return {
    url: connection.url,
    username: connection.username ?? null,
    password: connection.password ?? null,
    clientId: connection.clientId ?? null,
    ca: bytesOf(scope, { document, path: ['connections', name, 'ca'], file: connection.ca }),
    cert: bytesOf(scope, { document, path: ['connections', name, 'cert'], file: connection.cert }),
    key: connection.key ?? null,
    presence: connection.presence ?? null,
    withdraw: connection.withdraw ?? null,
    rpcPassword: connection.rpcPassword ?? null,
  };
}

function s3Of(connection: S3Connection) {
  return {
    bucket: connection.bucket,
    region: connection.region,
    endpoint: connection.endpoint ?? null,
    prefix: connection.prefix ?? '',
    accessKeyId: connection.accessKeyId ?? null,
    secretAccessKey: connection.secretAccessKey ?? null,
  };
}

function awsOf(connection: AwsConnection) {
  return {
    region: connection.region,
    endpoint: connection.endpoint ?? null,
    index: connection.index ?? 'off',
    indexQuery: connection.indexQuery ?? null,
  } as const;
}

function azureOf(connection: AzureConnection) {
  const { host, policy, key, index = 'off', indexQuery = null } = connection;
  return { host, policy, key, index, indexQuery } as const;
}

function bytesOf(scope: Scope, source: { document: FleetSource; path: Path; file: string | undefined }): Uint8Array | null {
  if (source.file === undefined) return null;
  const found = findFile(scope.revision, source.file);
  if (found.ok) return found.value.bytes;
  scope.report.error(found.error.code, at(source.document, ...source.path), found.error);
  return null;
}

/** Files that are named and whose contents are used elsewhere: keys that may sign, age recipients, sealed secrets. */
function checkFiles(document: FleetSource, scope: Scope): void {
  const { data } = document;
  data.trust?.commits.accept?.forEach((file, index) => bytesOf(scope, { document, path: ['trust', 'commits', 'accept', index], file }));
  bytesOf(scope, { document, path: ['secrets', 'recipients'], file: data.secrets?.recipients });
  for (const reference of parseTemplate(data.secrets?.render ?? '').template.references) {
    if (reference.kind === 'age' && reference.path.references.length === 0)
      bytesOf(scope, { document, path: ['secrets', 'render'], file: reference.path.source });
  }
}

function checkArtifacts(document: FleetSource, scope: Scope): void {
  const { artifacts } = document.data;
  if (artifacts?.via !== undefined) checkBucket(artifacts.via, { document, scope, path: ['artifacts', 'via'] });
  if (artifacts?.urls === 'serve' && artifacts.publicUrl === undefined) {
    scope.report.error('MISSING_KEY', keyAt(document, 'artifacts'), {
      summary: '`urls: serve` needs the address at which devices reach Headgate',
      fix: 'add `publicUrl:`',
    });
  }
  if (artifacts !== undefined && artifacts.via === undefined && (artifacts.urls ?? 'presigned') === 'presigned') {
    scope.report.error('MISSING_KEY', keyAt(document, 'artifacts'), {
      summary: 'presigned URLs need a bucket',
      fix: 'add `via:` with an s3 connection',
    });
  }
}

function checkBucket(name: string, context: { document: FleetSource; scope: Scope; path: Path }): void {
  const { document, scope, path } = context;
  const connection = document.data.connections[name];
  const buckets = Object.entries(document.data.connections).flatMap(([other, one]) => (one.type === 's3' ? [other] : []));
  if (connection === undefined) {
    reportUnknown(scope, at(document, ...path), { what: 'connection', kind: null, name, known: buckets });
  } else if (connection.type !== 's3') {
    scope.report.error('WRONG_CONNECTION', at(document, ...path), {
      summary: `\`${name}\` is no s3 connection`,
      fix: buckets.length === 0 ? 'add an s3 connection' : `write one of: ${buckets.join(', ')}`,
    });
  }
}

function ledgerOf(document: FleetSource, scope: Scope): LedgerDeclaration {
  const { store, id, lasting } = document.data.ledger;
  const common = { id, lasting: flag(lasting, false), place: at(document, 'ledger', 'store') };
  if (store.startsWith('sqlite:')) return { ...common, store: 'sqlite', path: store.slice('sqlite:'.length) };
  if (store.startsWith('s3:')) {
    const slash = store.indexOf('/');
    const connection = store.slice('s3:'.length, slash);
    checkBucket(connection, { document, scope, path: ['ledger', 'store'] });
    return { ...common, store: 's3', connection, prefix: store.slice(slash + 1) };
  }
  if (store === 'git') return { ...common, store: 'git' };
  const url = store.slice(store.indexOf(':') + 1);
  return { ...common, store: 'postgres', url: url.startsWith('//') ? store : url };
}
