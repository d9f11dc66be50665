import fc from 'fast-check';

/**
 * The tests of properties draw the same cases each time, so that a commit is as green tomorrow as it was today.
 * `HEADGATE_PROPERTY_SEED=N` draws others; the campaigns of test/long choose theirs.
 */
fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env['HEADGATE_PROPERTY_SEED'] ?? 1) });
