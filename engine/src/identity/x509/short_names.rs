//! OpenSSL's short names of the attribute types that occur in distinguished names.
//!
//! In: an encoded object identifier. Out: the name `OpenSSL` 3.0 prints for it. A type that is not
//! here is printed by its number, with its value in hexadecimal.

/// The short name of an attribute type, by its encoded identifier.
#[must_use]
pub fn short_name(oid: &[u8]) -> Option<&'static str> {
    for (prefix, table) in PREFIXED {
        if let Some([last]) = oid.strip_prefix(prefix) {
            return table.iter().find(|(arc, _)| arc == last).map(|(_, name)| *name);
        }
    }
    OTHERS.iter().find(|(encoded, _)| *encoded == oid).map(|(_, name)| *name)
}

/// Is this the lower-case form of a short name?
#[must_use]
pub fn is_short_name(lower_case: &str) -> bool {
    let names = PREFIXED.iter().flat_map(|(_, table)| table.iter().map(|(_, name)| *name));
    let mut names = names.chain(OTHERS.iter().map(|(_, name)| *name));
    !lower_case.bytes().any(|byte| byte.is_ascii_uppercase())
        && names.any(|name| name.eq_ignore_ascii_case(lower_case))
}

/// Attribute types that differ in their last arc only.
type AttributeTypes = [(u8, &'static str)];

const PREFIXED: [(&[u8], &AttributeTypes); 3] = [
    (&[0x55, 0x04], ID_AT),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 0x01], PILOT),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09], PKCS9),
];

/// `id-at`
const ID_AT: &AttributeTypes = &[
    (3, "CN"),
    (4, "SN"),
    (5, "serialNumber"),
    (6, "C"),
    (7, "L"),
    (8, "ST"),
    (9, "street"),
    (10, "O"),
    (11, "OU"),
    (12, "title"),
    (13, "description"),
    (14, "searchGuide"),
    (15, "businessCategory"),
    (16, "postalAddress"),
    (17, "postalCode"),
    (18, "postOfficeBox"),
    (19, "physicalDeliveryOfficeName"),
    (20, "telephoneNumber"),
    (21, "telexNumber"),
    (22, "teletexTerminalIdentifier"),
    (23, "facsimileTelephoneNumber"),
    (24, "x121Address"),
    (25, "internationaliSDNNumber"),
    (26, "registeredAddress"),
    (27, "destinationIndicator"),
    (28, "preferredDeliveryMethod"),
    (29, "presentationAddress"),
    (30, "supportedApplicationContext"),
    (31, "member"),
    (32, "owner"),
    (33, "roleOccupant"),
    (34, "seeAlso"),
    (35, "userPassword"),
    (36, "userCertificate"),
    (37, "cACertificate"),
    (38, "authorityRevocationList"),
    (39, "certificateRevocationList"),
    (40, "crossCertificatePair"),
    (41, "name"),
    (42, "GN"),
    (43, "initials"),
    (44, "generationQualifier"),
    (45, "x500UniqueIdentifier"),
    (46, "dnQualifier"),
    (47, "enhancedSearchGuide"),
    (48, "protocolInformation"),
    (49, "distinguishedName"),
    (50, "uniqueMember"),
    (51, "houseIdentifier"),
    (52, "supportedAlgorithms"),
    (53, "deltaRevocationList"),
    (54, "dmdName"),
    (65, "pseudonym"),
    (72, "role"),
    (97, "organizationIdentifier"),
    (98, "c3"),
    (99, "n3"),
    (100, "dnsName"),
];

/// RFC 4524
const PILOT: &AttributeTypes = &[
    (1, "UID"),
    (2, "textEncodedORAddress"),
    (3, "mail"),
    (4, "info"),
    (5, "favouriteDrink"),
    (6, "roomNumber"),
    (7, "photo"),
    (8, "userClass"),
    (9, "host"),
    (10, "manager"),
    (11, "documentIdentifier"),
    (12, "documentTitle"),
    (13, "documentVersion"),
    (14, "documentAuthor"),
    (15, "documentLocation"),
    (20, "homeTelephoneNumber"),
    (21, "secretary"),
    (22, "otherMailbox"),
    (23, "lastModifiedTime"),
    (24, "lastModifiedBy"),
    (25, "DC"),
    (26, "aRecord"),
    (27, "pilotAttributeType27"),
    (28, "mXRecord"),
    (29, "nSRecord"),
    (30, "sOARecord"),
    (31, "cNAMERecord"),
    (37, "associatedDomain"),
    (38, "associatedName"),
    (39, "homePostalAddress"),
    (40, "personalTitle"),
    (41, "mobileTelephoneNumber"),
    (42, "pagerTelephoneNumber"),
    (43, "friendlyCountryName"),
    (44, "uid"),
    (45, "organizationalStatus"),
    (46, "janetMailbox"),
    (47, "mailPreferenceOption"),
    (48, "buildingName"),
    (49, "dSAQuality"),
    (50, "singleLevelQuality"),
    (51, "subtreeMinimumQuality"),
    (52, "subtreeMaximumQuality"),
    (53, "personalSignature"),
    (54, "dITRedirect"),
    (55, "audio"),
    (56, "documentPublisher"),
];

/// PKCS #9
const PKCS9: &AttributeTypes = &[
    (1, "emailAddress"),
    (2, "unstructuredName"),
    (3, "contentType"),
    (4, "messageDigest"),
    (5, "signingTime"),
    (6, "countersignature"),
    (7, "challengePassword"),
    (8, "unstructuredAddress"),
    (9, "extendedCertificateAttributes"),
    (14, "extReq"),
    (15, "SMIME-CAPS"),
    (16, "SMIME"),
    (20, "friendlyName"),
    (21, "localKeyID"),
];

const OTHERS: &[(&[u8], &str)] = &[
    // 1.2.643.3.131.1.1
    (&[0x2a, 0x85, 0x03, 0x03, 0x81, 0x03, 0x01, 0x01], "INN"),
    // 1.2.643.100.1
    (&[0x2a, 0x85, 0x03, 0x64, 0x01], "OGRN"),
    // 1.2.643.100.3
    (&[0x2a, 0x85, 0x03, 0x64, 0x03], "SNILS"),
    // 1.2.643.100.5
    (&[0x2a, 0x85, 0x03, 0x64, 0x05], "OGRNIP"),
    // 1.2.643.100.111
    (&[0x2a, 0x85, 0x03, 0x64, 0x6f], "subjectSignTool"),
    // 1.2.643.100.112
    (&[0x2a, 0x85, 0x03, 0x64, 0x70], "issuerSignTool"),
    // 1.2.643.100.113
    (&[0x2a, 0x85, 0x03, 0x64, 0x71], "classSignTool"),
    // 1.3.6.1.4.1.311.17.1
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x11, 0x01], "CSPName"),
    // 1.3.6.1.4.1.311.17.2
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x11, 0x02], "LocalKeySet"),
    // 1.3.6.1.4.1.311.60.2.1.1
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x3c, 0x02, 0x01, 0x01], "jurisdictionL"),
    // 1.3.6.1.4.1.311.60.2.1.2
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x3c, 0x02, 0x01, 0x02], "jurisdictionST"),
    // 1.3.6.1.4.1.311.60.2.1.3
    (&[0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x3c, 0x02, 0x01, 0x03], "jurisdictionC"),
    // 1.3.6.1.5.5.7.9.1
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x09, 0x01], "id-pda-dateOfBirth"),
    // 1.3.6.1.5.5.7.9.2
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x09, 0x02], "id-pda-placeOfBirth"),
    // 1.3.6.1.5.5.7.9.3
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x09, 0x03], "id-pda-gender"),
    // 1.3.6.1.5.5.7.9.4
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x09, 0x04], "id-pda-countryOfCitizenship"),
    // 1.3.6.1.5.5.7.9.5
    (&[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x09, 0x05], "id-pda-countryOfResidence"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_openssls_names() {
        assert_eq!(short_name(&[0x55, 0x04, 0x03]), Some("CN"));
        assert_eq!(short_name(&[0x55, 0x04, 0x05]), Some("serialNumber"));
        assert_eq!(
            short_name(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x01]),
            Some("emailAddress")
        );
        assert_eq!(short_name(&[0x55, 0x04, 0x03, 0x01]), None);
        assert!(is_short_name("emailaddress") && is_short_name("ou"));
        assert!(!is_short_name("OU") && !is_short_name("nothing"));
    }
}
