import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AwsIot } from './aws-iot.ts';
import { makeAwsCa, type AwsCaFiles } from './ca.ts';
import { certificateId } from './registry.ts';
import { THING_NAME } from './topics.ts';

/** What a claim certificate may do: ask for a certificate and a thing of its own (docs/protocols/aws-iot.md §11.4). */
const CLAIM_POLICY = JSON.stringify({
  Statement: [
    { Effect: 'Allow', Action: 'iot:Connect', Resource: '*' },
    {
      Effect: 'Allow',
      Action: ['iot:Publish', 'iot:Subscribe'],
      Resource: ['arn:aws:iot:*:*:topic*/$aws/certificates/*', 'arn:aws:iot:*:*:topic*/$aws/provisioning-templates/*'],
    },
  ],
});
const OPEN_POLICY = JSON.stringify({ Statement: { Effect: 'Allow', Action: 'iot:*', Resource: '*' } });
const FLEET_TEMPLATE = JSON.stringify({
  Parameters: { SerialNumber: { Type: 'String' } },
  Resources: {
    thing: { Type: 'AWS::IoT::Thing', Properties: { ThingName: { Ref: 'SerialNumber' } } },
    certificate: { Type: 'AWS::IoT::Certificate', Properties: { CertificateId: { Ref: 'AWS::IoT::Certificate::Id' }, Status: 'Active' } },
    policy: { Type: 'AWS::IoT::Policy', Properties: { PolicyName: 'open' } },
  },
});

/**
 * The CA of a folder, `ca.pem` and `ca.key`; made where they are not there. Throws what reading and writing throws, and
 * a RangeError where only one of them is there.
 */
export async function awsFolder(dir: string): Promise<AwsCaFiles> {
  await mkdir(dir, { recursive: true });
  const [certificate, key] = await Promise.all([textOf(join(dir, 'ca.pem')), textOf(join(dir, 'ca.key'))]);
  if (certificate !== null && key !== null) return { certificate, key };
  if (certificate !== null || key !== null) throw new RangeError(`${dir} has only one of ca.pem and ca.key`);
  const made = await makeAwsCa(Date.now());
  await writePair(dir, 'ca', made);
  return made;
}

/**
 * Things of these names with their certificates, `NAME.pem` and `NAME.key` in the folder, made where they are not there;
 * and `claim.pem`, which may ask by the template `fleet` for a thing called as its parameter SerialNumber says. Throws a
 * RangeError for a name that no thing may have.
 */
export async function enrolFolder(aws: AwsIot, dir: string, things: readonly string[]): Promise<void> {
  const bad = things.find((name) => !THING_NAME.test(name) || name === 'ca' || name === 'claim');
  if (bad !== undefined) throw new RangeError(`a thing cannot be called ${JSON.stringify(bad)} here`);
  aws.registry.createPolicy('open', OPEN_POLICY);
  aws.registry.createPolicy('claim', CLAIM_POLICY);
  aws.provisioning.templates.set('fleet', { body: FLEET_TEMPLATE, enabled: true });
  for (const name of ['claim', ...things]) {
    const pem = await textOf(join(dir, `${name}.pem`));
    const certificate = pem ?? (await newPair(aws, dir, name));
    const principal = aws.registry.arn(`cert/${certificateId(certificate)}`);
    aws.registry.addCertificate(certificate, 'ACTIVE');
    aws.registry.attachPolicy(name === 'claim' ? 'claim' : 'open', principal);
    if (name === 'claim') continue;
    aws.registry.createThing(name);
    aws.registry.attachThing(name, principal);
  }
}

async function newPair(aws: AwsIot, dir: string, name: string): Promise<string> {
  const pair = await (await aws.ca()).withKey(Date.now());
  await writePair(dir, name, pair);
  return pair.certificate;
}

async function writePair(dir: string, name: string, pair: AwsCaFiles): Promise<void> {
  await writeFile(join(dir, `${name}.key`), pair.key, { mode: 0o600 });
  await writeFile(join(dir, `${name}.pem`), pair.certificate);
}

async function textOf(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
