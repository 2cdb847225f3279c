export { openThreads, type Threads } from './pool.js';
export { readAhead } from './read-ahead.js';
export { SpareMemory } from './spare-memory.js';
