// Imported before all that needs Bun.
import { only } from "../only.ts";

only("Bun", "kevent/bun");
