// Network.swift: whole networks: made, loaded, saved, described, rewritten.
// Not here: their numbers one by one (Parameters.swift), layer by layer (Builder.swift).
// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import CRengaAPI
import Renga
import RengaNetwork

@c @implementation
public func renga_operators(_ out_json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!) -> renga_status {
    textOut(out_json, "out_json") { () throws(RengaError) in OperatorTable.listJSONText }
}

@c @implementation
public func renga_network_clone(
    _ network: OpaquePointer!, _ out: UnsafeMutablePointer<OpaquePointer?>!
) -> renga_status {
    networkOut(out) { () throws(RengaError) in try object(network, "network", as: NetworkObject.self).value }
}

@c @implementation
public func renga_network_free(_ network: OpaquePointer!) {
    freeHandle(network, as: NetworkObject.self)
}

@c @implementation
public func renga_network_info_init(_ info: UnsafeMutablePointer<renga_network_info>!, _ size: Int) {
    prepare(info, size: size, defaults: renga_network_info())
}

@c @implementation
public func renga_network_fold_batch_norm(
    _ network: OpaquePointer!, _ out: UnsafeMutablePointer<OpaquePointer?>!,
    _ out_report: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> renga_status {
    guarded { () throws(RengaError) in
        out_report?.pointee = nil
        let out = try cleared(out, "out")
        let network = try object(network, "network", as: NetworkObject.self).value
        let (folded, report) = try FoldBatchNorm.apply(network)
        let handle = try makeHandle(try NetworkObject(folded))
        guard let out_report else {
            out.pointee = handle
            return
        }
        do throws(RengaError) {
            out_report.pointee = try copied(report.jsonText)
            out.pointee = handle
        } catch {
            freeHandle(handle, as: NetworkObject.self)
            throw error
        }
    }
}

/// Clears a network out-parameter, then fills it with a handle to what `body` makes.
func networkOut(
    _ out: UnsafeMutablePointer<OpaquePointer?>?, _ body: () throws(RengaError) -> Network
) -> renga_status {
    guarded { () throws(RengaError) in
        let out = try cleared(out, "out")
        out.pointee = try makeHandle(try NetworkObject(try body()))
    }
}
