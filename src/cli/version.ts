/** The version of package.json; a test compares the two, so that starting the CLI reads no file for it. */
export const VERSION = '0.1.0';
