export type { Order } from './list.js';
export type { KindSummary, ListedPlate, PlateCost, PlateStatus } from './listing.js';
export { listPlates, type PlatesOptions, type PlatesResult } from './plates.js';
