import { createCipheriv, createDecipheriv, createHash } from 'node:crypto';

/**
 * docs/protocols/canedge-s3.md §14.3: the key pair of the example's operator and the symmetric key it shares with the key
 * that all simulated devices have. Real vehicles have a key each; the vendor's tool makes these files for them.
 */
const OPERATOR_KPUB = 'hHMpvZ1OQqumiTRqQW7+i3kX9t05/s1y/909nn/RtMdwpKFD9Gov0vPErPQCQ3fEGukbSg3YPu59BqrambI5sA==';
const SYMMETRIC_KEY = Buffer.from('d54e1f5b9833b6896cafb5099c11e8e7', 'hex');

/** S3 credentials and WiFi passwords of the embedded servers: they protect nothing. */
const S3_SECRET = 'headgate-secret';

interface Vehicle {
  readonly id: string;
  readonly depot: string;
  readonly link: 'wifi' | 'cellular';
}

const VEHICLES: readonly Vehicle[] = [
  { id: 'boat-01', depot: 'barnard-castle', link: 'cellular' },
  { id: 'tracked-01', depot: 'alston', link: 'wifi' },
  { id: 'tractor-01', depot: 'alston', link: 'cellular' },
  { id: 'tractor-02', depot: 'barnard-castle', link: 'cellular' },
  { id: 'van-01', depot: 'alston', link: 'wifi' },
  { id: 'van-02', depot: 'alston', link: 'wifi' },
  { id: 'van-03', depot: 'barnard-castle', link: 'wifi' },
  { id: 'van-04', depot: 'barnard-castle', link: 'wifi' },
];

/** The layer of each vehicle that holds its secrets, encrypted for it (§8.2): bytes by path. */
export function exampleSealed(): ReadonlyMap<string, Uint8Array> {
  return new Map(
    VEHICLES.map((vehicle) => [
      `fleet-example/files/can/sealed/${vehicle.id}.json`,
      new TextEncoder().encode(`${JSON.stringify(sealedLayer(vehicle), null, 2)}\n`),
    ]),
  );
}

function sealedLayer({ id, depot, link }: Vehicle): unknown {
  const accesspoint = [{ ssid: `upland-${depot}`, pwd: seal(id, 'wifi', `${depot} yard, gate 2`), minrssi: 0 }];
  return {
    general: { security: { kpub: OPERATOR_KPUB } },
    connect: {
      ...(link === 'wifi' ? { wifi: { keyformat: 1, accesspoint } } : {}),
      s3: { server: { keyformat: 1, secretkey: seal(id, 's3', S3_SECRET) } },
    },
  };
}

/** base64(IV ‖ AES-128-CTR). The vector depends on the plain text and its place, so that it never repeats under the key. */
function seal(device: string, field: string, plain: string): string {
  const iv = createHash('sha256').update(`${device}\n${field}\n${plain}`).digest().subarray(0, 16);
  const cipher = createCipheriv('aes-128-ctr', SYMMETRIC_KEY, iv);
  return Buffer.concat([iv, cipher.update(plain, 'ascii'), cipher.final()]).toString('base64');
}

/** What a device reads: for the test that the files can be read back. */
export function unseal(stored: string): string {
  const bytes = Buffer.from(stored, 'base64');
  const decipher = createDecipheriv('aes-128-ctr', SYMMETRIC_KEY, bytes.subarray(0, 16));
  return Buffer.concat([decipher.update(bytes.subarray(16)), decipher.final()]).toString('ascii');
}
