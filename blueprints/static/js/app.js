/* Every page's script. The chart and the editor come on their own, after the first paint. */
import "htmx.org";
import * as frame from "./frame.js";
import * as keys from "./keys.js";
import * as palette from "./palette.js";

frame.start();
keys.start();
palette.start();
