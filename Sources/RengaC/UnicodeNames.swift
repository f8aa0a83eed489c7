// UnicodeNames.swift: keeps the names of all Unicode characters ("LATIN SMALL LETTER A", 0.55 MB of tables) out of librenga.so.
// Not here: any other part of Swift's library, which stays as it is.

/// What the linker gives Swift's `Unicode.Scalar.Properties.name` in this library instead of its table (--wrap in Package.swift):
/// a count of 0 bytes, "this character has no name". Nothing in Renga asks for one.
@c(__wrap__swift_stdlib_getScalarName)
public func noScalarName(_ scalar: UInt32, _ buffer: UnsafeMutablePointer<UInt8>?, _ capacity: Int) -> Int { 0 }
