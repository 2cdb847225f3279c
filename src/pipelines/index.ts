export type { Candidate } from './candidates.js';
export type { Effect, Interaction } from './interaction.js';
export { foundRun, search, searchFolder } from './search.js';
export { writeSearchPicture } from './search-picture.js';
export type { SearchResult, Tried } from './search-result.js';
