// Imported before all that needs Deno.
import { only } from "../only.ts";

only("Deno", "kevent/deno");
