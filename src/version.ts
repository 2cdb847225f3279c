import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

/** Of birdbone, as package.json has it. */
export const VERSION: string = (require('../package.json') as { version: string }).version;
