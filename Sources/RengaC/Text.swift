// Text.swift: text across the border: UTF-8 in with a bound, malloc'd copies out.
// Not here: what any text means.
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Glibc
import RengaNetwork

/// The bytes of a literal, which live as long as the library and end in NUL.
func staticText(_ text: StaticString) -> UnsafePointer<CChar> {
    UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}

/// A required text argument: NULL, overlong and broken UTF-8 are refused.
func text(_ pointer: UnsafePointer<CChar>?, _ argument: StaticString) throws(RengaError) -> String {
    guard let pointer else { throw RengaError(.nullPointer, "\(argument) is NULL") }
    let bound = Int(RENGA_MAX_TEXT)
    guard strnlen(pointer, bound + 1) <= bound else {
        throw RengaError(.invalidArgument, "\(argument) is longer than \(bound) bytes")
    }
    guard let text = String(validatingCString: pointer) else {
        throw RengaError(.invalidArgument, "\(argument) is not valid UTF-8")
    }
    return text
}

/// An optional text argument: NULL is nil.
func optionalText(_ pointer: UnsafePointer<CChar>?, _ argument: StaticString) throws(RengaError) -> String? {
    guard let pointer else { return nil }
    return try text(pointer, argument)
}

/// A copy that the host frees by `renga_text_free`.
func copied(_ text: String) throws(RengaError) -> UnsafeMutablePointer<CChar> {
    guard let copy = text.withCString({ strdup($0) }) else {
        throw RengaError(.outOfMemory, "no memory for a text of \(text.utf8.count) bytes")
    }
    return copy
}

/// Clears a text out-parameter, then fills it with a copy of what `body` makes.
func textOut(
    _ out: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ argument: StaticString,
    _ body: () throws(RengaError) -> String
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, argument)
        out.pointee = try copied(try body())
    }
}

@c @implementation
public func renga_text_free(_ text: UnsafeMutablePointer<CChar>?) {
    free(text)
}
