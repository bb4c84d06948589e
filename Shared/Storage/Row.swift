import CSQLite

/// The row a statement stands on; valid until its next `step()` or `reset()`.
///
/// Columns are counted from 0. A read of another type than the stored one converts as SQLite does
/// (<https://www.sqlite.org/c3ref/column_blob.html>): NULL is 0 or empty, so read a column that may be NULL with the
/// `optional…` form.
package struct Row {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { self.handle = handle }

    /// The number of columns.
    package var count: Int { Int(sqlite3_column_count(handle)) }

    /// Whether the column is NULL.
    package func isNull(_ column: Int) -> Bool { sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL }

    /// The column as an integer.
    package func int64(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }

    /// The column as an integer.
    package func int(_ column: Int) -> Int { Int(int64(column)) }

    /// The column as an integer, whether it is not 0.
    package func bool(_ column: Int) -> Bool { int64(column) != 0 }

    /// The column as a number.
    package func double(_ column: Int) -> Double { sqlite3_column_double(handle, Int32(column)) }

    /// A copy of the column as text; ill-formed UTF-8 is repaired.
    package func string(_ column: Int) -> String { String(decoding: text(column), as: UTF8.self) }

    /// A copy of the column as bytes.
    package func bytes(_ column: Int) -> [UInt8] {
        guard let address = sqlite3_column_blob(handle, Int32(column)) else { return [] }
        let count = Int(sqlite3_column_bytes(handle, Int32(column)))
        return [UInt8](UnsafeRawBufferPointer(start: address, count: count))
    }

    /// The column as an integer, `nil` for NULL.
    package func optionalInt64(_ column: Int) -> Int64? { isNull(column) ? nil : int64(column) }

    /// The column as text, `nil` for NULL.
    package func optionalString(_ column: Int) -> String? { isNull(column) ? nil : string(column) }

    /// The column as bytes, `nil` for NULL.
    package func optionalBytes(_ column: Int) -> [UInt8]? { isNull(column) ? nil : bytes(column) }

    /// The column's text where SQLite has it, without a copy; as short-lived as the row.
    package func text(_ column: Int) -> UnsafeRawBufferPointer {
        guard let address = sqlite3_column_text(handle, Int32(column)) else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: address, count: Int(sqlite3_column_bytes(handle, Int32(column))))
    }

    /// The column's bytes where SQLite has them, without a copy; as short-lived as the row.
    package func blob(_ column: Int) -> UnsafeRawBufferPointer {
        guard let address = sqlite3_column_blob(handle, Int32(column)) else {
            return UnsafeRawBufferPointer(start: nil, count: 0)
        }
        return UnsafeRawBufferPointer(start: address, count: Int(sqlite3_column_bytes(handle, Int32(column))))
    }
}
