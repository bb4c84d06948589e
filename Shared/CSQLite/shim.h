// Debian's library has sessions; the header shows them only when asked (<https://www.sqlite.org/sessionintro.html>).
#define SQLITE_ENABLE_SESSION 1
#define SQLITE_ENABLE_PREUPDATE_HOOK 1
#include <sqlite3.h>

// Swift calls no variadic functions.
static inline int csqlite_enable_triggers(sqlite3 *database, int on) {
    return sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, on, (int *)0);
}
