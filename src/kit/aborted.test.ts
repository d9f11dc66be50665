import { describe, expect, it } from 'vitest';
import { unlessAborted } from './aborted.ts';

const never = new Promise<never>(() => undefined);

describe('unlessAborted', () => {
  it('gives what the work gives, or throws what it throws', async () => {
    const { signal } = new AbortController();
    await expect(unlessAborted(Promise.resolve(7), signal)).resolves.toBe(7);
    await expect(unlessAborted(Promise.resolve(7), undefined)).resolves.toBe(7);
    await expect(unlessAborted(Promise.reject(new Error('broken')), signal)).rejects.toThrow('broken');
  });

  it('ends with the reason of the signal, aborted before or meanwhile', async () => {
    const before = AbortSignal.abort(new Error('too late'));
    await expect(unlessAborted(never, before)).rejects.toThrow('too late');
    const meanwhile = new AbortController();
    const running = unlessAborted(never, meanwhile.signal);
    meanwhile.abort(new Error('the deadline has passed'));
    await expect(running).rejects.toThrow('the deadline has passed');
  });

  it('lets work go that fails after it was given up', async () => {
    const late = Promise.withResolvers<number>();
    await expect(unlessAborted(late.promise, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone');
    late.reject(new Error('nobody hears this'));
    await new Promise((resolve) => setImmediate(resolve));
    await expect(late.promise).rejects.toThrow('nobody hears this');
  });
});
